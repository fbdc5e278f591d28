"""Finds problems of a backbone in its files, without loading it."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import MANIFEST, read_manifest
from lamol_core.artifacts.spec import STUDENT, remedy
from lamol_core.config.hub import model_problem
from lamol_core.config.task_names import BASE
from lamol_core.errors import ConfigError, missing_package
from lamol_core.models.files import (
    PARTS,
    absent_parts,
    folder_problems,
    gguf_problems,
    has_chat_template,
)
from lamol_core.models.params import BackboneParams
from lamol_core.models.positions import find_positions
from lamol_core.text.params import TextFormat
from lamol_core.text.plain import TOKENIZER


def backbone_problems(
    backbone: BackboneParams, root: Path, config_alone: bool = False
) -> list[str]:
    """Return a sentence for each problem of a local model that its files show, and for a model of
    the hub that can't be fetched. One that was prepared before is not fetched again. A tokenizer is
    loaded only where it must be converted.

    `root` is the folder of params.yaml. `config_alone`: a folder need have neither weights nor a
    tokenizer."""
    if backbone.kind == "nano":
        return []
    if backbone.path is None:
        return [f"backbone.path: missing, and kind {backbone.kind!r} needs it."]
    path = backbone.local_path(root)
    if path is None:
        problem = None if prepared_backbone(backbone, root) else model_problem(backbone.path)
        return [] if problem is None else [f"backbone.path: {problem}"]
    if backbone.kind == "gguf":
        if not path.exists() or path.is_dir():
            return [f"backbone.path: {path} is no file. Name the .gguf file itself."]
        problem = missing_package("gguf")
        missing = [f"backbone.kind: gguf, but {problem}"] if problem else []
        return [f"backbone.path: {problem}" for problem in gguf_problems(path)] or missing
    if not path.is_dir():
        return [f"backbone.path: {path} is no folder. Name one that `save_pretrained` wrote."]
    problems = folder_problems(path, PARTS if config_alone else ())
    return [f"backbone.path: {problem}" for problem in problems or _conversion_problems(path)]


def _conversion_problems(folder: Path) -> list[str]:
    """A sentence where a folder's tokenizer is of another form than `tokenizer.json`, and can't be
    converted."""
    if (folder / TOKENIZER).exists() or "tokenizer" in absent_parts(folder):
        return []
    from lamol_core.models.probe import try_tokenizer  # loads torch

    try:
        try_tokenizer(folder, str(folder))
    except ConfigError as error:
        return [str(error)]
    return []


def what_is_missing(backbone: BackboneParams, root: Path) -> list[str]:
    """Return a sentence for each part that a model's folder does not have yet, with the key."""
    path = backbone.local_path(root)
    absent = absent_parts(path) if path is not None and path.is_dir() else {}
    return [f"backbone.path: {sentence}" for sentence in absent.values()]


def chat_problems(backbone: BackboneParams, root: Path, config_alone: bool = False) -> list[str]:
    """Return a sentence where a backbone has no chat template; [] where only the fetched model
    shows it (`find_template`), or where it has no tokenizer yet, and `config_alone`."""
    path = backbone.local_path(root)
    may_lack_it = path is not None and config_alone and "tokenizer" in absent_parts(path)
    is_nano = backbone.kind == "nano"
    if not is_nano and (path is None or may_lack_it or has_chat_template(path)):
        return []
    return [no_template(backbone)]


def no_template(backbone: BackboneParams) -> str:
    """A sentence: the backbone has no chat template."""
    named = "nano" if backbone.kind == "nano" else backbone.path
    return (
        f"text.format: chat, but the backbone ({named}) has no chat template. Name an instruct "
        "model, or set it to tokens."
    )


def length_problems(
    wanted: Mapping[str, int],
    backbone: BackboneParams,
    root: Path,
    advice: str = "Lower it, or take a model with more positions.",
) -> list[str]:
    """Return a sentence for each key of `wanted` that allows texts of more tokens (its value) than
    the model has positions; [] where only a loaded model shows its positions."""
    positions = find_positions(backbone, root)
    return [
        f"{key}: {num} tokens in all are allowed, but the backbone has {positions} positions. "
        f"{advice}"
        for key, num in wanted.items()
        if positions is not None and num > positions
    ]


def prepared_backbone(
    backbone: BackboneParams, root: Path, text_format: TextFormat | None = None
) -> Path | None:
    """The folder of the prepared backbone; None where none was made with these parameters, by
    default for rows of any format."""
    student = Layout(root).student(BASE)
    if not (student / MANIFEST).is_file():
        return None
    manifest = read_manifest(student / MANIFEST, remedy(STUDENT, BASE))
    formats = get_args(TextFormat) if text_format is None else (text_format,)
    is_same = any(manifest.parameters == backbone.made_of(one) for one in formats)
    return student if is_same else None
