"""The sequence that the tests of this folder share: `lamol init`, then `dvc repro`, once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.stages.sequences import NAMES, home, make_tiny, run, write_csv


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A sequence of three tasks, made by `lamol init` and run by `dvc repro`. Never changed.

    One process of a run makes it, the others unpack theirs: a tar keeps the links that dvc made.
    """
    root = tmp_path_factory.mktemp("pipeline")
    if worker_id == "master":
        return run_new_sequence(root)
    packed = tmp_path_factory.getbasetemp().parent / "pipeline"
    with FileLock(f"{packed}.lock"):
        if not Path(f"{packed}.tar").exists():
            made = tmp_path_factory.mktemp("made")
            run_new_sequence(made)
            # renamed when it is whole: the next worker must not unpack half of one
            Path(shutil.make_archive(f"{packed}.new", "tar", made)).rename(f"{packed}.tar")
            shutil.rmtree(made)
    shutil.unpack_archive(f"{packed}.tar", root)
    return root / "sequence"


def run_new_sequence(root: Path) -> Path:
    """Its sources lie beside it and are named relatively: the whole can be moved."""
    tasks = []
    for name in NAMES:
        tasks += ["--task", f"{name}={write_csv(root / f'{name}.csv', name)}"]
    run(root, "lamol", "init", "sequence", *tasks)
    folder = root / "sequence"
    make_tiny(folder)
    for path in (folder / "params.yaml", folder / "dvc.yaml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(str(root), ".."), encoding="utf-8")
    run(folder, "dvc", "repro")
    shutil.copytree(home(), root / "home")  # it may be of another process
    return folder


@pytest.fixture
def sequence(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy that a test may change, its sources too. Links become copies: dvc sees the same
    content."""
    folder = tmp_path / "sequence"
    shutil.copytree(finished, folder)
    for source in finished.parent.glob("*.csv"):
        shutil.copy(source, tmp_path)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
