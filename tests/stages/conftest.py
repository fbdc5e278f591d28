"""The sequence that the tests of this folder share: `lamol init`, then `dvc repro`, once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stages.sequences import NAMES, make_tiny, run, write_csv


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence of three tasks, made by `lamol init` and run by `dvc repro`. Never changed."""
    root = tmp_path_factory.mktemp("pipeline")
    tasks = []
    for name in NAMES:
        tasks += ["--task", f"{name}={write_csv(root / f'{name}.csv', name)}"]
    run(root, "lamol", "init", "sequence", *tasks)
    folder = root / "sequence"
    make_tiny(folder)
    (root / "home").mkdir()
    run(folder, "dvc", "repro", home=root / "home")
    return folder


@pytest.fixture
def sequence(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy that a test may change. Links become copies: dvc sees the same content."""
    folder = tmp_path / "sequence"
    shutil.copytree(finished, folder)
    yield folder
    shutil.rmtree(folder)
