"""A module imports only downwards (the contracts of pyproject.toml), and at the top of its file."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from lamol_core.methods.registry import METHODS
from tests.code_imports import ROOT


def test_layers_are_kept() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_declarations_are_read_without_torch() -> None:
    """Methods too: what they compute with, a memory's file imports."""
    files = (ROOT / "lamol_core" / "methods").glob("*.py")
    declared = [file.stem for file in files if file.stem.removesuffix("_memory") in METHODS]
    modules = [f"lamol_core.methods.{name}" for name in declared if not name.endswith("_memory")]
    assert len(modules) == len(METHODS)
    modules += [f"lamol_core.{m}" for m in ("parameters", "methods.registry", "preflight.problems")]
    assert loaded_by(*modules) == "set()"


def test_light_commands_are_read_without_torch() -> None:
    """Those that load it, load it for a part of what they do, or after their inputs were read."""
    heavy = {"train", "evaluate", "export"}
    files = {file.stem for file in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert heavy <= files
    assert loaded_by(*(f"stages.{name}" for name in sorted(files - heavy))) == "set()"


def loaded_by(*modules: str) -> str:
    """Which of torch and transformers a process has after it imported these modules."""
    code = (
        f"import sys, {', '.join(modules)}; print({{'torch', 'transformers'}} & {{*sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


HEAVY = ("lamol_core", "stages", "torch", "transformers", "accelerate", "datasets")
LATE = {
    ("stages/cli.py", "stages.runtime"): "`lamol --help` needs no stage",
    ("stages/guard.py", "stages.cli"): "the command line loads the module that asks for it",
    ("stages/check.py", "lamol_core.preflight.estimate"): "torch, for --estimate alone",
    (
        "lamol_core/preflight/backbone.py",
        "lamol_core.models.probe",
    ): "torch, to convert a tokenizer",
    ("lamol_core/preflight/check.py", "lamol_core.preflight.unloaded"): "torch, for named layers",
    ("lamol_core/preflight/targets.py", "lamol_core.models.backbones"): "torch, for chats alone",
    ("lamol_core/preflight/targets.py", "lamol_core.text.codecs"): "so",
    ("stages/ask.py", "lamol_core.evaluation.scoring"): "torch, once there are inputs",
    ("stages/ask.py", "lamol_core.evaluation.predict"): "so",
    ("stages/backbone.py", "lamol_core.models.backbones"): "torch, once the model is at hand",
    ("lamol_core/pipeline/init.py", "lamol_core.models.backbones"): "torch, for a chat template",
    ("stages/generate.py", "lamol_core.generation.drawing"): "torch, where rows are to be drawn",
    ("stages/generate.py", "lamol_core.generation.judging"): "so, where a judge is asked",
    ("lamol_core/models/checkpoints.py", "lamol_core.models.adapters"): "peft, for an adapter",
    ("lamol_core/training/setup.py", "lamol_core.models.adapters"): "so",
    ("lamol_core/audit/loading.py", "lamol_core.decoding.answers"): "torch, where a check asks",
    ("lamol_core/audit/loading.py", "lamol_core.generation.judging"): "so",
    ("lamol_core/audit/checks/copies.py", "lamol_core.audit.memorisation.neighbours"): "a registry "
    "of checks is read for their limits: what they compute with is loaded when they run",
    ("lamol_core/audit/checks/memorisation.py", "lamol_core.audit.memorisation.hash_overlap"): "so",
    ("lamol_core/audit/checks/memorisation.py", "lamol_core.audit.memorisation.row_overlap"): "so",
    ("lamol_core/methods/derpp.py", "lamol_core.methods.derpp_memory"): "torch, in training alone",
    ("lamol_core/methods/ewc.py", "lamol_core.methods.ewc_memory"): "torch, in training alone",
    ("lamol_core/data/sources/hub.py", "datasets"): "a second, for one kind of source",
    ("lamol_core/data/sources/hub.py", "datasets.exceptions"): "so",
}
"""File, module and reason of every import inside a function, of our own modules and heavy ones."""


def test_imports_stand_at_the_top() -> None:
    found = set()
    for folder in ("lamol_core", "stages"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    modules = {name for child in ast.walk(node) for name in names_imported(child)}
                    found |= {(file.relative_to(ROOT).as_posix(), name) for name in modules}
    assert {(file, name) for file, name in found if name.split(".")[0] in HEAVY} == set(LATE)


def names_imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or "."]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
