"""Parquet tables."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lamol_core.data.sources.registry import read_source
from tests.data.sources.tables import make, pairs_of, problems
from tests.messages import names


def test_parquet_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no")
    (problem,) = problems(make(kind="parquet", path="x.parquet"), tmp_path)
    assert names(problem, tmp_path / "x.parquet", "Parquet")


def test_cells_that_are_no_text_are_told(tmp_path: Path) -> None:
    latin = pa.array([b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"input": latin, "target": ["a"]}), tmp_path / "x.parquet")
    (problem,) = problems(make(kind="parquet", path="x.parquet"), tmp_path)
    assert names(problem, tmp_path / "x.parquet", "Parquet")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"])] * 3, names=["input", "input", "target"])
    pq.write_table(table, tmp_path / "x.parquet")
    (problem,) = problems(make(kind="parquet", path="x.parquet"), tmp_path)
    assert names(problem, tmp_path / "x.parquet", "'input'")


def test_parquet_labels_in_a_dictionary_and_numbers(tmp_path: Path) -> None:
    table = pa.table({"input": [1, 2], "target": pa.array(["a", "b"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "x.parquet")
    rows = read_source(make(kind="parquet", path="x.parquet"), tmp_path)["train"]
    assert pairs_of(rows) == [("1", "a"), ("2", "b")]
