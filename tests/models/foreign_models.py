"""Tiny models as others may write them: whole ones, and the ways to break one."""

from __future__ import annotations

import json
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from safetensors.torch import load_file, save_file

from lamol_core.errors import ConfigError
from lamol_core.models.backbones import build_backbone
from lamol_core.models.nano import build_nano
from lamol_core.models.params import BackboneParams
from lamol_core.preflight.backbone import backbone_problems
from tests.fakes import CORPUS, tiny_backbone_params
from tests.messages import names, naming

EXPLODES = {"type": "Split", "pattern": {"Regex": "(?:(a|a|aa)+)+$"}, "behavior": "Isolated",
            "invert": False}  # fmt: skip
"""A pre-tokenizer that takes for ever on a run of one letter."""
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
"""A chat template."""
WRONG: list[Any] = [None, "x", -1, 10**12, [], {}, True, 1.5]
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")


def write_foreign(folder: Path) -> None:
    """A whole model, as `save_pretrained` writes it."""
    model, tokenizer = build_nano(tiny_backbone_params().nano, CORPUS)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def build(path: Path, kind: str = "folder") -> None:
    build_backbone(BackboneParams(kind=kind, path=str(path), max_tasks=3), Path(), [])


def into_the_hubs_cache(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move a model's folder to where `owner/tiny` lies in the hub's cache, which is made there."""
    repository = cache / "models--owner--tiny"
    (repository / "snapshots").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return model.rename(repository / "snapshots" / ("1" * 40))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def places(content: dict[str, Any]) -> list[tuple[str, ...]]:
    """The keys of a JSON object, and those of the objects in it."""
    inner = [(key, one) for key, value in content.items() if isinstance(value, dict)
             for one in list(value)[:12]]  # fmt: skip
    return [*((key,) for key in content), *inner]


def put(content: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for key in place[:-1]:
        content = content[key]
    content[place[-1]] = value


def gguf_bytes(*values: bytes, version: int = 3, tensors: int = 0, num: int | None = None) -> bytes:
    """The header of a GGUF file with these metadata, and no more."""
    counts = struct.pack("<IQQ", version, tensors, len(values) if num is None else num)
    return b"GGUF" + counts + b"".join(values)


def gguf_value(key: str, kind: int, value: bytes) -> bytes:
    return gguf_text(key) + struct.pack("<I", kind) + value


def gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def refused(path: Path, *named: object, kind: str = "folder", by_check: bool = True) -> None:
    """Both `lamol check` (where it can see it) and the loader name these."""
    problems = backbone_problems(BackboneParams(kind=kind, path=str(path)), Path())
    assert len(problems) == by_check and all(names(problem, *named) for problem in problems)
    started = time.process_time()
    with pytest.raises(ConfigError, match=naming("backbone.path", *named)) as raised:
        build(path, kind)
    assert time.process_time() - started < 10 and "\n" not in str(raised.value)


def seconds_of_children() -> float:
    """The work of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def split_weights(model: Path, *files: str) -> None:
    """Two files of weights and their index, which names `files` instead."""
    tensors = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    halves = [dict(list(tensors.items())[part::2]) for part in range(2)]
    named = {}
    for part, half in enumerate(halves):
        save_file(half, model / f"{part}.safetensors", {"format": "pt"})
        named |= dict.fromkeys(half, files[part % len(files)] if files else f"{part}.safetensors")
    index = {"metadata": {"total_size": 0}, "weight_map": named}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
