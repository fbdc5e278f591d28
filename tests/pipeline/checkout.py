"""A copy of the checkout that a test may add to or edit, with a sequence of two tiny tasks."""

from __future__ import annotations

import json
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lamol_core.pipeline.init import set_up_dvc
from tests.code_imports import PACKAGES, ROOT
from tests.stages.sequences import run

FIRST, SECOND = "first", "second"
LIMITS = {"limit_train": 24, "limit_test": 6}


def copy_checkout(folder: Path) -> Path:
    """The code and the pipeline, under DVC, without parameters."""
    for package in PACKAGES:
        no_caches = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=no_caches)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    set_up_dvc(folder)
    return folder


def write_params(folder: Path, **changes: Any) -> dict[str, Any]:
    """params.yaml of two tasks and a model that learns for two steps; gives its content."""
    params = tiny_params() | changes
    with (folder / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML().dump(json.loads(json.dumps(params)), stream)  # no anchors: the tasks' own names
    return params


def tiny_params() -> dict[str, Any]:
    sources = [{"kind": "demo", "task": name, **LIMITS} for name in ("home", "travel")]
    return {
        "seed": 0,
        "method": "lamol_kd",
        "tasks": {
            FIRST: {"after": "base", "source": sources[0]},
            SECOND: {"after": FIRST, "source": sources[1]},
        },
        "backbone": {
            "kind": "nano",
            "max_tasks": 2,
            "nano": {"hidden_size": 32, "layers": 1, "heads": 2, "vocab_size": 400,
                     "max_positions": 128, "corpus": sources},
        },
        "text": {"max_length": 64, "max_input_tokens": 24, "max_target_tokens": 6},
        "train": {"steps": 2, "batch_size": 4, "learning_rate": 1e-3, "precision": "fp32"},
        "evaluate": {"max_target_tokens": 4},
        **{name: {} for name in ("prepare", "generate", "audit", "mix", "adapter", "lamol_kd")},
    }  # fmt: skip


def run_here(folder: Path) -> None:
    """Run the whole sequence in this process, which starts once, and have DVC record it. The
    copy's code must be this checkout's still."""
    from stages.audit import audit
    from stages.backbone import backbone
    from stages.evaluate import evaluate
    from stages.generate import generate
    from stages.mix import mix
    from stages.prepare import prepare
    from stages.report import report
    from stages.snapshot import snapshot
    from stages.train import train

    with chdir(folder):
        backbone()
        for task in (FIRST, SECOND):
            for stage in (prepare, snapshot, generate, audit, mix, train, evaluate):
                stage(task)
        report()
    run(folder, "dvc", "commit", "--force")
