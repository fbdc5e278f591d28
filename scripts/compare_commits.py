"""Does a commit leave the same artefacts as another one? Both run here, on one machine.

    python scripts/compare_commits.py HEAD~1               the working tree against a commit
    python scripts/compare_commits.py HEAD~1 --only demo   one sequence of those below

Runs the demo with seed 0 and a short sequence of each method, by the code of a commit (in a
worktree of its own) and by the code that lies here. It compares the sha256 of every file of every
student, table, prediction and metric. Manifests are left out: they name versions and parameters.
Bytes differ between machines, so this is a script and no test. Exit code 1: something differs.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lamol_core.methods.registry import METHODS

ROOT = Path(__file__).parent.parent
KEPT = ("student/**/*", "state/**/*", "*.parquet", "metrics.json", "train_log.csv")
"""What is compared below `runs/T`, without manifests."""

SHORT: dict[str, Any] = {
    "seed": 0,
    "tasks": {
        name: {"after": after, "source": {"kind": "demo", "task": name, "limit_train": 60,
                                          "limit_test": 20}}
        for name, after in (("slots", "base"), ("home", "slots"), ("sentiment", "home"))
    },
    "backbone": {
        "kind": "nano",
        "max_tasks": 4,
        "nano": {"hidden_size": 64, "layers": 2, "heads": 2, "vocab_size": 600,
                 "max_positions": 128,
                 "corpus": [{"kind": "demo", "task": name} for name in ("slots", "home")]},
    },
    "text": {"max_length": 96, "max_input_tokens": 24, "max_target_tokens": 8},
    "prepare": {},
    "generate": {"gamma": 0.5, "topk": 10, "rows_per_class": 0, "batch_size": 64},
    "audit": {"min_rows": 10},
    "mix": {},
    "train": {"epochs": 3, "batch_size": 8, "learning_rate": 2e-3, "precision": "fp32"},
    "evaluate": {"batch_size": 64, "max_target_tokens": 8},
    **{method: {} for method in METHODS},
    "derpp": {"buffer_size": 20, "batch_size": 4},
    "replay": {"buffer_size": 20, "batch_size": 4},
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "text": {"use_task_specific_gen_token": False},
    "prepare": {"canaries": 2},
    "generate": {"unique": True, "max_attempts": 30, "carry_over": True},
    "mix": {"drop_flagged": True},
    "evaluate": {"forward_transfer": True},
    "lamol_kd": {"alignment": "reference", "temperature": 3.0},
}  # fmt: skip
"""Laid over SHORT in one more sequence."""

DRIVER = """
import sys
from stages.cli import app

def run(*words):
    code = app(list(words), standalone_mode=False)
    if code:
        sys.exit(f"lamol {' '.join(words)} ended with {code}")

tasks = sys.argv[1:]
run("backbone")
for task in tasks:
    run("prepare", task)
    for stage in ("snapshot", "generate", "audit", "mix", "train", "evaluate"):
        run(stage, task)
run("report")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commit")
    parser.add_argument("--only", action="append", help="a sequence's name (repeatable)")
    parser.add_argument("--keep", type=Path, help="folder whose results are used again, by commit")
    options = parser.parse_args()
    commit = _git("rev-parse", options.commit)
    with tempfile.TemporaryDirectory(prefix="lamol-compare-") as scratch:
        folder = Path(scratch)
        before = _of_commit(commit, folder, options.only, options.keep)
        now = {name: run_sequence(ROOT, name, folder / "now" / name) for name in before}
    different = 0
    for name in before:
        rows = list(differences(before[name], now[name]))
        different += len(rows)
        told = [f"{name}: {len(before[name])} files, {len(rows)} differ", *(f"  {r}" for r in rows)]
        sys.stdout.write("\n".join(told) + "\n")
    sys.exit(1 if different else 0)


def _of_commit(
    commit: str, folder: Path, only: list[str] | None, keep: Path | None
) -> dict[str, dict[str, str]]:
    """The hashes of a commit's sequences, by their names; from `keep` where they are there."""
    found: dict[str, dict[str, str]] = {}
    tree = folder / "tree"
    _git("worktree", "add", "--detach", str(tree), commit)
    try:
        for name in only or ("demo", *METHODS, "options"):
            kept = keep / f"{commit[:12]}.{name}.json" if keep else None
            if kept is not None and kept.is_file():
                found[name] = json.loads(kept.read_text(encoding="utf-8"))
                continue
            found[name] = run_sequence(tree, name, folder / "before" / name)
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(found[name], indent=1), encoding="utf-8")
    finally:
        _git("worktree", "remove", "--force", str(tree))
    return found


def run_sequence(code: Path, name: str, folder: Path) -> dict[str, str]:
    """Run a sequence in a folder by the code of a checkout; the sha256 of what it left."""
    folder.mkdir(parents=True)
    params = sequence_params(code, name)
    with (folder / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(params, stream)
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DRIVER, *params["tasks"]]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{code}, sequence {name}:\n{done.stdout[-4000:]}")
    return hashes_of(folder)


def sequence_params(code: Path, name: str) -> dict[str, Any]:
    """params.yaml of a sequence: that of a checkout with seed 0 for the demo, else SHORT."""
    if name == "demo":
        own = YAML(typ="safe").load((code / "params.yaml").read_text(encoding="utf-8"))
        return {**own, "seed": 0}
    params = copy.deepcopy(SHORT)
    params["method"] = name if name in METHODS else "lamol_kd"
    if name == "options":
        for block, values in OPTIONS.items():
            params[block] |= values
    return params


def hashes_of(folder: Path) -> dict[str, str]:
    """The sha256 of every file that counts, by its path."""
    runs = [
        path for run in sorted(folder.glob("runs/*")) for kind in KEPT for path in run.glob(kind)
    ]
    paths = [*runs, *folder.glob("data/*/*.parquet"), folder / "reports" / "score_matrix.csv"]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file() and not path.name.endswith("manifest.json")
    }


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            yield f"{path}: is not made any more"
        elif path not in before:
            yield f"{path}: was not made"
        elif before[path] != now[path]:
            yield f"{path}: other content"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
