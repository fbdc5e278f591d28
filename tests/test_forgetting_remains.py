"""What of a forgotten task's rows pseudo-samples repeat."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lamol_core.forgetting.remains import num_repeated


def test_rows_said_again_are_counted_whatever_case_and_white_space(tmp_path: Path) -> None:
    rows = [("mine", "A  b"), ("mine", "a b c"), ("other", "a b")]
    path = tmp_path / "pseudo.parquet"
    samples = [{"source_task": task, "input": text} for task, text in rows]
    pq.write_table(pa.Table.from_pylist(samples), path)
    assert num_repeated(path, "mine", {"a B ", "not said"}) == 1
