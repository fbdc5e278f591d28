"""What of a forgotten task's rows pseudo-samples repeat."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamol_core.artifacts.atomic import atomic_path
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.locks import sole_writer
from lamol_core.artifacts.spec import PSEUDO
from lamol_core.artifacts.tables import write_table
from lamol_core.errors import ArtifactError
from lamol_core.pipeline.dvc_api import Pipeline
from lamol_core.privacy.forgetting import _remove_remains
from lamol_core.privacy.refusals import require_nothing_written
from lamol_core.privacy.remains import num_repeated
from lamol_core.records import PSEUDO_SCHEMA, PseudoSample, inputs_of, to_history
from tests.messages import names, naming


def test_rows_said_again_are_counted_whatever_case_and_white_space(tmp_path: Path) -> None:
    rows = [("mine", "A  b"), ("mine", "a b c"), ("other", "a b")]
    path = tmp_path / "pseudo.parquet"
    samples = [{"source_task": task, "input": text} for task, text in rows]
    pq.write_table(pa.Table.from_pylist(samples, schema=PSEUDO_SCHEMA), path)
    assert num_repeated(path, {"a B ", "not said"}) == 2
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match=naming(path, f"generate@{tmp_path.name}")):
        num_repeated(path, {"a b"})


def test_rows_said_again_in_an_earlier_turn_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "pseudo.parquet"
    history = to_history([("A  b", "well"), ("c", "so")])
    one = PseudoSample("r", "mine", 0, 1, "x", "y", [1], [2], True, "", 1.0, 0, "0", -1, history)
    write_table(path, PSEUDO, [one])
    assert num_repeated(path, {"a b"}) == num_repeated(path, {"X"}) == 1
    assert num_repeated(path, {"well", "y"}) == 0
    assert inputs_of("x", history) == ["A  b", "c", "x"]


def test_nothing_is_forgotten_while_a_process_writes(tmp_path: Path) -> None:
    """It may be writing rows of the task, and its scratch would be taken from under it."""
    layout = Layout(tmp_path)
    with atomic_path(tmp_path / "runs" / "a" / "memory.parquet") as scratch:
        scratch.write_text("half")
        with pytest.raises(ArtifactError, match=naming(scratch.parent, os.getpid())):
            require_nothing_written(layout, Pipeline(None))
    (tmp_path / "runs" / ".student.x1y2z3w4").mkdir()
    require_nothing_written(layout, Pipeline(None))
    output = layout.student("a")
    at_work = pytest.raises(ArtifactError, match=naming(layout.lock(output)))
    with sole_writer(layout, [output]), at_work:
        require_nothing_written(layout, Pipeline(None))
    require_nothing_written(layout, Pipeline(None))


def test_every_page_with_real_rows_is_removed(tmp_path: Path) -> None:
    """Of whatever task: an old page can show rows that its task's data no longer has."""
    layout = Layout(tmp_path)
    page = layout.page_with_real_rows("taken-out")
    page.parent.mkdir(parents=True)
    page.write_text("<p>a row</p>", encoding="utf-8")
    (note,) = _remove_remains(layout, Pipeline(None), "a", ("train",))
    assert names(note, page) and not page.exists()
