"""Finds problems of a backbone in its files, without loading it."""

from pathlib import Path
from typing import Any

from lamol_core.artifacts.figures import read_json
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import MANIFEST, read_manifest
from lamol_core.artifacts.spec import STUDENT, remedy
from lamol_core.config.hub import model_problem
from lamol_core.config.paths import resolve_path
from lamol_core.config.task_names import BASE
from lamol_core.errors import ArtifactError
from lamol_core.models.params import BackboneParams
from lamol_core.text.params import TextParams

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")
"""A tokenizer is loaded from one or more of these files."""
GGUF = b"GGUF"


def backbone_problems(backbone: BackboneParams, root: Path) -> list[str]:
    """Return a sentence for each problem of a local model that its files show, and for a model of
    the hub that can't be fetched. One that was prepared before is not fetched again.

    `root` is the folder of params.yaml."""
    if backbone.kind == "nano":
        return []
    if backbone.path is None:
        return [f"backbone.path: missing, and kind {backbone.kind!r} needs it."]
    path = resolve_path(backbone.path, root)
    if backbone.kind == "hub":
        if path.is_dir() or is_made_of(Layout(root).student(BASE), backbone):
            return []
        problem = model_problem(backbone.path)
        return [] if problem is None else [f"backbone.path: {problem}"]
    if backbone.kind == "gguf":
        if not path.is_file():
            return [f"backbone.path: {path} is no file. Name the .gguf file itself."]
        with path.open("rb") as stream:
            is_gguf = stream.read(len(GGUF)) == GGUF
        return [] if is_gguf else [f"backbone.path: {path} does not begin as a GGUF file."]
    if not path.is_dir():
        return [f"backbone.path: {path} is no folder. Name one that `save_pretrained` wrote."]
    return [f"backbone.path: {path} {problem}" for problem in _folder_problems(path)]


def length_problems(text: TextParams, backbone: BackboneParams, root: Path) -> list[str]:
    """Return a sentence where pseudo-samples may be longer than the model's positions; [] where
    they are not, or where only a loaded model shows its positions."""
    positions = _positions(backbone, root)
    wanted = text.max_sample_tokens + 1  # GEN
    if positions is None or wanted <= positions:
        return []
    return [
        f"text.max_input_tokens and text.max_target_tokens: they allow pseudo-samples of {wanted} "
        f"tokens, but the backbone has {positions} positions. Lower them, or take a model "
        "with more positions."
    ]


def _positions(backbone: BackboneParams, root: Path) -> int | None:
    """Return how many tokens a row can have; None where only a loaded model shows it."""
    if backbone.kind == "nano":
        return backbone.nano.max_positions
    if backbone.kind != "folder" or backbone.path is None:
        return None
    config = _config(resolve_path(backbone.path, root)) or {}
    config = config.get("text_config", config)
    found = config.get("max_position_embeddings") if isinstance(config, dict) else None
    return found if isinstance(found, int) else None


def is_made_of(student: Path, backbone: BackboneParams) -> bool:
    """Whether the folder holds a prepared backbone that was made with these parameters."""
    if not (student / MANIFEST).is_file():
        return False
    manifest = read_manifest(student / MANIFEST, remedy(STUDENT, BASE))
    return manifest.parameters == backbone.model_dump(mode="json")


def _folder_problems(folder: Path) -> list[str]:
    config = _config(folder)
    if config is None:
        return ["has no readable config.json. Name a folder that `save_pretrained` wrote."]
    problems = []
    heads = [str(head) for head in config.get("architectures") or []]
    if config.get("is_encoder_decoder"):
        problems.append("is an encoder and a decoder. Name a causal language model (decoder only).")
    elif heads and not config.get("is_decoder") and all(h.endswith("ForMaskedLM") for h in heads):
        problems.append("is a masked language model. Name a causal one.")
    if not any(folder.glob("*.safetensors")):
        advice = "Name a folder with model.safetensors."
        if any(folder.glob("*.bin")):
            advice = "Pickles (.bin) are not read: if you trust them, `save_pretrained` them."
        problems.append(f"has no weights in safetensors. {advice}")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        problems.append(
            "has no tokenizer (tokenizer.json). Save it there: `tokenizer.save_pretrained`."
        )
    return problems


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        return read_json(folder / "config.json", "")
    except ArtifactError:
        return None
