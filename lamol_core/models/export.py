"""Copy a student into a folder that needs nothing else: no sequence, and no lamol."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import torch
from safetensors.torch import load_file

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.manifest import MANIFEST
from lamol_core.errors import ConfigError
from lamol_core.models.attention import deviates
from lamol_core.models.checkpoints import TURNS, backbone_of, load_model
from lamol_core.models.files import ADAPTER_CONFIG
from lamol_core.text.chat_pieces import PIECES
from lamol_core.text.codecs import load_codec

TEXT = "The quick brown fox jumps over the lazy dog."
PROGRAM = """
import sys, torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, ids, out = sys.argv[1:]
AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
with torch.no_grad():
    logits = model(torch.tensor([[int(i) for i in ids.split()]])).logits
save_file({"logits": logits.float()}, out)
"""
"""What a fresh process runs to try an exported folder, with plain transformers."""
OURS = (MANIFEST, PIECES, TURNS)
"""Files that only lamol reads."""


def require_new_folder(out: Path, taken: Iterable[Path]) -> None:
    """Raises ConfigError where `out` is no new or empty folder, can't be made, or lies in one of
    the folders `taken`."""
    try:
        with suppress(FileNotFoundError):
            out.lstat()
            if not out.is_dir() or any(out.iterdir()):
                raise ConfigError(f"{out}: not an empty folder. Name a new one: it stays as it is.")
        if own := [one for one in taken if out.resolve().is_relative_to(one.resolve())]:
            raise ConfigError(f"{out}: lies in {own[0]}, a folder of the sequence. Name another.")
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: can't be made ({error.strerror}). Name another.") from error


def export_student(student: Path, out: Path, merge: bool = False) -> str:
    """Copy a student into the folder `out`; returns what the folder holds.

    An adapter goes beside a copy of its backbone, where transformers finds both. With `merge` it is
    merged into the weights. The copy is tried in a fresh process, before `out` exists: raises
    ConfigError where its logits are not the student's."""
    backbone = backbone_of(student)
    with atomic_folder(out) as scratch:
        if backbone is not None and not merge:
            _copy(backbone, scratch)
        _copy(student, scratch, skip=("adapter_*",) if merge else ())
        if backbone is not None and merge:
            load_model(student, torch.device("cpu")).save_pretrained(scratch)
        elif backbone is not None:
            # transformers looks for the backbone beside the adapter, peft where it runs
            config = json.loads((scratch / ADAPTER_CONFIG).read_text(encoding="utf-8"))
            config["base_model_name_or_path"] = "."
            (scratch / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
        _try(scratch, student, None if merge else torch.float32)
    if backbone is None:
        return "whole weights"
    if merge:
        return "the adapter, merged into the weights"
    return "the backbone and its adapter, for transformers with peft (other engines need --merge)"


def _copy(source: Path, target: Path, skip: tuple[str, ...] = ()) -> None:
    leave = shutil.ignore_patterns(*OURS, *skip)
    # not their modes: DVC makes its outputs read-only
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=leave, copy_function=shutil.copyfile)


def _try(exported: Path, student: Path, dtype: torch.dtype | None) -> None:
    """Raises ConfigError where transformers cannot load the folder, or gives other logits in fp32.
    `dtype`: to which the student's merged weights are rounded; None for that of its checkpoint."""
    model = load_model(student, torch.device("cpu"), dtype).float()
    (ids,) = load_codec(student).encode([TEXT])
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits
    del model
    logits = exported.with_name("logits.safetensors")
    given = [str(exported), " ".join(map(str, ids)), str(logits)]
    command = [sys.executable, "-P", "-c", PROGRAM, *given]
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=offline, capture_output=True, text=True, check=False)
    if done.returncode:
        cause = done.stderr.strip().splitlines()[-1:] or ["no error"]
        raise ConfigError(
            f"{student}: transformers can't load its copy ({cause[0]}). Nothing was written."
        )
    if deviates(load_file(logits)["logits"], expected):
        raise ConfigError(
            f"{student}: its copy gives other results in plain transformers. Nothing was written."
        )
