"""What a sequence takes with a model of which config.json is at hand: nothing of it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from lamol_core.models.backbones import fetch_small_files, read_gguf_shapes
from lamol_core.models.files import absent_parts
from lamol_core.models.gguf_header import count_gguf_weights
from lamol_core.models.head import require_targets
from lamol_core.models.nano import build_nano
from lamol_core.models.probe import read_shapes_of, read_tokenizer
from lamol_core.parameters import Params
from lamol_core.preflight.backbone import prepared_backbone
from lamol_core.text.chat import ChatCodec
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.codecs import load_codec
from lamol_core.text.params import TextFormat
from lamol_core.text.template import ControlTokens, RowTemplate, TaskPrompts, TokenTemplate
from lamol_core.text.tokenizer import TextCodec

LARGEST_TRIED = 500_000_000
"""A model with more weights is not tried: loading it and training a few steps takes many minutes,
and perhaps more memory than there is."""
CHARACTERS = 4
"""Characters of a token where there is no tokenizer (docs/performance.md)."""


@dataclass(frozen=True)
class UnloadedModel:
    """A model on the meta device, and what counts the tokens of its rows."""

    model: PreTrainedModel
    codec: TextCodec
    notes: tuple[str, ...]


class CountingTemplate(TokenTemplate):
    """Lays out rows with reserved tokens, several turns too: to count them."""

    def require_turns(self, task: str) -> None:
        """They are counted without what a chat template puts between them."""


class CountingCodec(TextCodec):
    """The codec of a tokenizer that has no reserved tokens yet: only lengths are right."""

    def template(self, prompts: TaskPrompts = TaskPrompts()) -> RowTemplate:
        stand_ins = ControlTokens(ans=0, eos=0, pad=0, gen=0, gen_by_task=(0,) * len(prompts.tasks))
        return CountingTemplate(stand_ins, prompts)


class CharacterCodec(CountingCodec):
    """Counts tokens by characters. The tokens of one text are none of another's."""

    def __init__(self) -> None: ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[row] * -(-len(text) // CHARACTERS) for row, text in enumerate(texts)]


def find_unloaded(params: Params, root: Path) -> UnloadedModel | None:
    """The backbone by its configuration, where it is too large to be tried, or where its weights or
    its tokenizer are missing; None for any other.

    Of a model of the hub the small files are fetched. Raises ConfigError where no model can be made
    of its configuration."""
    backbone, text_format = params.backbone, params.text.format
    if backbone.kind == "nano" or backbone.path is None:
        return None
    student, path = prepared_backbone(backbone, root, text_format), backbone.local_path(root)
    if backbone.kind == "gguf" and path is not None and student is None:
        if count_gguf_weights(path) <= LARGEST_TRIED:
            return None
        # to read a large vocabulary from GGUF takes a minute
        return UnloadedModel(read_gguf_shapes(path), CharacterCodec(), (_by_characters(path),))
    here = student or path
    folder = here or fetch_small_files(backbone.path, backbone.revision)
    where = f"params.yaml: backbone.path: {backbone.path}"
    model = read_shapes_of(folder, where)
    absent = {} if here is None else absent_parts(folder)
    if not absent and model.num_parameters() <= LARGEST_TRIED:
        return None
    if student is not None:
        return UnloadedModel(model, load_codec(student), ())
    if "tokenizer" in absent:
        return UnloadedModel(model, CharacterCodec(), (_by_characters(folder),))
    return UnloadedModel(model, _codec(folder, where, text_format), ())


def require_layers(params: Params, root: Path) -> None:
    """Raises ConfigError where `adapter.targets` names anything but linear layers of the backbone,
    of which no weights are read. Of a model of the hub the small files are fetched."""
    backbone, path = params.backbone, params.backbone.local_path(root)
    student = prepared_backbone(backbone, root, params.text.format)
    if student is None and backbone.kind == "nano":
        with torch.device("meta"):
            model, _ = build_nano(backbone.nano, ["no rows: its layers alone"])
    elif student is None and backbone.kind == "gguf" and path is not None:
        model = read_gguf_shapes(path)
    else:
        folder = student or path or fetch_small_files(str(backbone.path), backbone.revision)
        model = read_shapes_of(folder, f"params.yaml: backbone.path: {backbone.path}")
    require_targets(model, params.adapter.targets)


def _by_characters(path: Path) -> str:
    why = "was not asked for its tokenizer" if path.is_file() else "has no tokenizer yet"
    return f"tokens are guessed: {CHARACTERS} characters are one. {path} {why}."


def _codec(folder: Path, where: str, text_format: TextFormat) -> TextCodec:
    tokenizer = read_tokenizer(folder, where, text_format)
    if text_format == "tokens":
        return CountingCodec(tokenizer)
    return ChatCodec(tokenizer, find_pieces(tokenizer))
