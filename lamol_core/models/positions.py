"""How many tokens a row may have, by a model's config.json; the model is not loaded."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lamol_core.errors import ConfigError
from lamol_core.models.files import CONFIG, read_object
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
    folder = backbone.local_path(root)
    if folder is None or not folder.is_dir():
        return None
    with suppress(ConfigError):  # `backbone_problems` tells of it
        return positions_of(read_object(folder / CONFIG))
    return None


def positions_of(config: Mapping[str, Any]) -> int | None:
    """Return the positions that a model's config.json names; None where it names none."""
    config = config.get("text_config", config)
    found = [config.get(key) for key in POSITIONS] if isinstance(config, Mapping) else []
    return next((num for num in found if isinstance(num, int) and num > 0), None)
