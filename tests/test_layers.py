"""A module imports only downwards: the contracts of pyproject.toml."""

from __future__ import annotations

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
    code = (
        f"import sys, {', '.join(modules)}; print({{'torch', 'transformers'}} & {{*sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
