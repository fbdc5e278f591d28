"""Small sequences for tests on the real dvc: three tasks a tiny model learns in seconds."""

from __future__ import annotations

import atexit
import csv
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from ruamel.yaml import YAML

from lamol_core.records import SPLITS
from tests.code_imports import ROOT
from tests.forkserver import fork_server

TINY: dict[str, Any] = {
    "backbone": {"max_tasks": 6},
    "nano": {"hidden_size": 32, "layers": 2, "heads": 2, "vocab_size": 400, "max_positions": 128},
    "text": {
        "gen_order": "target_first",
        "max_length": 64,
        "max_input_tokens": 16,
        "max_target_tokens": 6,
    },
    "generate": {"judge": "features", "max_attempts": 50, "carry_over": True},
    "train": {
        "epochs": 20,
        "steps": None,
        "batch_size": 8,
        "learning_rate": 5e-3,
        "precision": "fp32",
    },
}
WORDS = {
    "colours": (["red", "green", "blue"], ["warm", "cold", "cold"], "what is {}"),
    "animals": (["cat", "dog", "crow"], ["paws", "paws", "wings"], "the {} has"),
    "sums": (["one", "two", "three"], ["odd", "even", "odd"], "say if {} is odd"),
    "fruits": (["plum", "lemon", "fig"], ["sweet", "sour", "sweet"], "how does a {} taste"),
}


NAMES = ("colours", "animals", "sums")
"""The tasks of the sequence that the tests share, in their order."""


def write_csv(path: Path, name: str, rows: int = 45) -> Path:
    """A CSV of a task: rows that differ by a number, so that no two are the same."""
    words, targets, template = WORDS[name]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["input", "target"])
        for i in range(rows):
            which = i % len(words)
            writer.writerow([f"{template.format(words[which])} {i}", targets[which]])
    return path


def make_tiny(folder: Path, **changes: Any) -> None:
    """Shrink a new sequence's parameters so that a stage takes about a second."""

    def shrink(params: dict) -> None:
        params["backbone"].update(TINY["backbone"])
        params["backbone"]["nano"].update(TINY["nano"])
        for block in ("text", "generate", "train"):
            params[block].update(TINY[block])
        params.update(changes)

    edit_params(folder, shrink)


def edit_params(folder: Path, change: Any) -> None:
    yaml = YAML()
    path = folder / "params.yaml"
    params = yaml.load(path.read_text(encoding="utf-8"))
    change(params)
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(params, stream)


def keep_two(sequence: Path) -> None:
    """Take the third task out, where two show as much in less time."""
    edit_params(sequence, lambda p: p["tasks"].pop("sums"))


@cache
def home() -> Path:
    """An empty home folder for all commands of this process, so that what they leave is seen."""
    return Path(AT_END.enter_context(tempfile.TemporaryDirectory(prefix="lamol-home-")))


def at_home() -> dict[str, str]:
    cache = home() / ".cache"
    return {
        "HOME": str(home()),
        "XDG_CACHE_HOME": str(cache),
        "HF_HOME": str(cache / "huggingface"),
    }


@cache
def commands() -> Path:
    """`lamol` and `dvc` of this checkout, forked; their server ends with this process."""
    # caches are chosen at import
    return AT_END.enter_context(fork_server(PYTHONPATH=str(ROOT), **at_home()))


AT_END = ExitStack()
atexit.register(AT_END.close)


def run(
    folder: Path, *command: str, expect: int = 0, served: Path | None = None, **changes: str
) -> str:
    """Run a command in an environment with changes; its output, stderr included. `lamol` and `dvc`
    are those of the folder `served` (forkserver.py), or else this checkout's."""
    folders = [str(served or commands()), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = os.environ | {
        "PATH": os.pathsep.join(folders),
        "OMP_NUM_THREADS": "1",
        "DVC_NO_ANALYTICS": "1",
        **at_home(),
        **changes,
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout
    return done.stdout


def stages_run(output: str) -> list[str]:
    """The stages that a `dvc repro` ran, from what it printed."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def stages_changed(output: str) -> list[str]:
    """The stages that a `dvc status` names."""
    return [line[:-1] for line in output.splitlines() if line.endswith(":") and line[0] != "\t"]


def stored_rows(folder: Path, task: str) -> dict[str, int]:
    """How many real rows of a task each table below a folder has with their text, whatever the
    file's name: DVC's cache and hidden folders too."""
    counted = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.read_bytes()[:4] != b"PAR1":
            continue
        table = pq.read_table(path)
        if {"row_id", "input"} <= set(table.column_names):
            ids = [row_id.split("/") for row_id in table.column("row_id").to_pylist()]
            counted[str(path.relative_to(folder))] = sum(
                task_of == task and split in SPLITS for task_of, split, *_ in ids
            )
    return {path: count for path, count in counted.items() if count}


def add_fruits(sequence: Path, folder: Path) -> None:
    source = {"kind": "csv", "path": str(write_csv(folder / "fruits.csv", "fruits"))}
    edit_params(
        sequence, lambda p: p["tasks"].update({"fruits": {"after": "sums", "source": source}})
    )
