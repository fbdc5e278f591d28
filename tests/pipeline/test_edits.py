"""What an edit of the code runs again: whoever mends a report waits for no training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.checkout import FIRST, SECOND, copy_checkout, run_here, write_params
from tests.stages.sequences import run, stages_changed

pytestmark = pytest.mark.slow

BEFORE_TRAINING = ("backbone", "prepare", "snapshot", "generate")
AFTER_IT = [f"lamol_core/{name}" for name in ("audit", "reporting", "evaluation")]
NO_STAGE = [f"lamol_core/{name}" for name in ("pipeline", "preflight", "privacy", "config")]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose sequence is up to date."""
    folder = copy_checkout(tmp_path / "checkout")
    write_params(folder)
    run_here(folder)
    assert stages_changed(run(folder, "dvc", "status")) == []
    return folder


def edit(folder: Path, *names: str) -> None:
    """Add a comment to a file, or to one of a package."""
    for name in names:
        path = folder / name
        path = path / "__init__.py" if path.is_dir() else path
        path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")


@pytest.mark.long
def test_an_edit_runs_what_can_change_by_it_again(checkout: Path) -> None:
    edit(checkout, *NO_STAGE, "stages/compare.py", "stages/runtime.py", "stages/check.py")
    assert stages_changed(run(checkout, "dvc", "status")) == []

    edit(checkout, *AFTER_IT, "stages/audit.py", "stages/evaluate.py", "stages/report.py")
    both = [f"{stage}@{task}" for stage in ("audit", "evaluate") for task in (FIRST, SECOND)]
    changed = stages_changed(run(checkout, "dvc", "status"))
    assert sorted(changed) == [*both, "report"], "their code, nothing else's"

    edit(checkout, "lamol_core/training")
    changed = stages_changed(run(checkout, "dvc", "status"))
    assert {f"train@{FIRST}", f"train@{SECOND}"} < set(changed)
