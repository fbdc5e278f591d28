"""How many tokens a row may have, by a model's config.json; the model is not loaded."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lamol_core.artifacts.figures import read_json
from lamol_core.config.paths import resolve_path
from lamol_core.errors import ArtifactError
from lamol_core.models.params import BackboneParams

POSITIONS = (
    "max_position_embeddings", "n_positions", "model_max_length", "context_length", "max_seq_len",
)  # fmt: skip
"""The keys under which transformers' causal models save their positions. Its own `attribute_map`
says so, but importing that takes seconds."""


def find_positions(backbone: BackboneParams, root: Path) -> int | None:
    """Return how many tokens a row can have; None where only a loaded model shows it."""
    if backbone.kind == "nano":
        return backbone.nano.max_positions
    if backbone.kind != "folder" or backbone.path is None:
        return None
    return positions_of(read_config(resolve_path(backbone.path, root)) or {})


def positions_of(config: Mapping[str, Any]) -> int | None:
    """Return the positions that a model's config.json names; None where it names none."""
    config = config.get("text_config", config)
    found = [config.get(key) for key in POSITIONS] if isinstance(config, Mapping) else []
    return next((num for num in found if isinstance(num, int) and num > 0), None)


def read_config(folder: Path) -> dict[str, Any] | None:
    """Return the content of a model's config.json; None where it can't be read."""
    with suppress(ArtifactError):
        return read_json(folder / "config.json", "")
    return None
