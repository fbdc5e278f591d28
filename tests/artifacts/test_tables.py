"""Parquet tables: round trip, same bytes, and every kind of damage refused."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import check_table, table_manifest
from lamol_core.artifacts.spec import MIX, PSEUDO, TRAIN
from lamol_core.artifacts.store import Inputs
from lamol_core.artifacts.tables import read_rows, size_of, write_table
from lamol_core.errors import ArtifactError
from lamol_core.records import (
    EXAMPLE_SCHEMA,
    MIX_SCHEMA,
    OF_TURNS,
    PSEUDO_SCHEMA,
    Example,
    MixRow,
    PseudoSample,
    earlier_turns,
    from_table,
    to_history,
)
from tests.messages import names, naming

REMEDY = "Run `dvc repro mix@a`."
ROWS = [MixRow(0, "new", "a", "a/train/000000", 3), MixRow(1, "pseudo", "z", "a/pseudo/z/0.1", -1)]
SAMPLE = PseudoSample(
    "r", "a", 0, 2, "x 👋", "", [1, 2], [], False, "empty_target", 1.5, 2**62, "f" * 64
)


def write(path: Path) -> Path:
    write_table(path, MIX, ROWS)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "mix.parquet")


def refusal(path: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        check_table(path, MIX.kind, REMEDY)
        read_rows(path, MIX_SCHEMA, REMEDY)
    assert REMEDY in str(caught.value)
    return str(caught.value)


def test_records_come_back_as_they_went(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write(MIX.at("a", layout.root))
    table, manifest = Inputs(TRAIN, "a", "base", layout).read(MIX)
    assert from_table(table, MixRow) == ROWS
    assert manifest.rows == {"mix": 2}
    write_table(layout.pseudo("a"), PSEUDO, [SAMPLE])
    assert from_table(Inputs(TRAIN, "a", "base", layout).read(PSEUDO)[0], PseudoSample) == [SAMPLE]


def test_the_size_of_rows_is_that_of_their_file(table: Path) -> None:
    assert size_of(ROWS, MIX_SCHEMA) == table.stat().st_size
    assert size_of([], MIX_SCHEMA) == 0


def test_an_empty_table_has_its_whole_schema(tmp_path: Path) -> None:
    path = tmp_path / "pseudo.parquet"
    write_table(path, PSEUDO, [])
    assert pq.read_schema(path).equals(PSEUDO_SCHEMA)
    assert from_table(read_rows(path, PSEUDO_SCHEMA, REMEDY), PseudoSample) == []


def test_pandas_reads_it(table: Path) -> None:
    import pandas

    frame = pandas.read_parquet(table)
    assert frame["row_id"].tolist() == [row.row_id for row in ROWS]
    assert frame["label_idx_cil"].tolist() == [3, -1]


def test_the_same_rows_are_the_same_bytes(table: Path, tmp_path: Path) -> None:
    again = write(tmp_path / "again" / "mix.parquet")
    assert again.read_bytes() == table.read_bytes()
    assert table_manifest(again).read_bytes() == table_manifest(table).read_bytes()
    inode = table.stat().st_ino
    write(table)
    assert table.stat().st_ino == inode


def test_one_changed_byte_is_found(table: Path) -> None:
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(bytes(data))
    assert str(table) in refusal(table)


def test_a_missing_table_or_manifest(table: Path, tmp_path: Path) -> None:
    assert str(tmp_path / "none.parquet") in refusal(tmp_path / "none.parquet")
    table_manifest(table).unlink()
    assert str(table_manifest(table)) in refusal(table)


def test_the_manifest_of_another_table(table: Path) -> None:
    other = table.with_name("other.parquet")
    write(other)
    table_manifest(table).write_bytes(table_manifest(other).read_bytes())
    assert str(table_manifest(table)) in refusal(table)


def test_a_wrong_kind(table: Path) -> None:
    with pytest.raises(ArtifactError, match=naming(table, "mix", "pseudo")):
        check_table(table, PSEUDO.kind, REMEDY)


@pytest.mark.parametrize("keep", [0, 3, 100])
def test_a_truncated_file(table: Path, keep: int) -> None:
    table.write_bytes(table.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=naming(table, "Parquet", REMEDY)):
        read_rows(table, MIX_SCHEMA, REMEDY)


def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"row_id": ["a"], "input": ["x"], "task": ["a"]}), path)
    with pytest.raises(ArtifactError) as caught:
        read_rows(path, EXAMPLE_SCHEMA, REMEDY)
    assert names(caught.value, path, "target", "label_idx_cil", REMEDY)
    assert not any(names(caught.value, there) for there in ("row_id", "input", "task"))


@pytest.mark.parametrize("labels", [["seven"], [[7]], [{"a": 1}], [2.5]])
def test_a_column_of_another_type(tmp_path: Path, labels: list) -> None:
    path = tmp_path / "train.parquet"
    text = {name: ["x"] for name in ("row_id", "task", "input", "target")}
    pq.write_table(pa.table({**text, "label_idx_cil": labels}), path)
    with pytest.raises(ArtifactError) as caught:
        read_rows(path, EXAMPLE_SCHEMA, REMEDY)
    assert str(path) in str(caught.value) and REMEDY in str(caught.value)


def test_more_columns_and_another_order_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    columns = {
        "extra": [1.0],
        "label_idx_cil": pa.array([7], pa.int32()),
        **{name: [name] for name in ("target", "input", "task", "row_id")},
    }
    pq.write_table(pa.table(columns), path)
    assert from_table(read_rows(path, EXAMPLE_SCHEMA, REMEDY), Example) == [
        Example("row_id", "task", "input", "target", 7)
    ]


TURNS = [("ask 👋", "told"), ("again", "so")]


def test_turns_have_columns_where_a_row_has_several(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    path = layout.pseudo("a")
    write_table(path, PSEUDO, [SAMPLE])
    assert not {*OF_TURNS.names} & {*pq.read_schema(path).names}
    with_turns = replace(SAMPLE, history=to_history(TURNS), history_ids=[[7], [8, 9], [7], [1]])
    write_table(path, PSEUDO, [SAMPLE, with_turns])
    table, _ = Inputs(TRAIN, "a", "base", layout).read(PSEUDO)
    assert from_table(table, PseudoSample) == [SAMPLE, with_turns]
    messages = json.loads(pq.read_table(path)["history"].to_pylist()[1])
    assert messages[0] == {"role": "user", "content": "ask 👋"} and len(messages) == 4
    assert earlier_turns(with_turns.history) == TURNS and earlier_turns("") == []


MESSAGES = json.loads(to_history(TURNS))


@pytest.mark.parametrize(
    "history",
    [
        "ask",
        "{}",
        "[1, 2]",
        json.dumps(MESSAGES[:1]),
        json.dumps(MESSAGES[::-1]),
        "[" * 100_000,
        json.dumps([{**message, "content": 1} for message in MESSAGES]),
    ],
)
def test_a_broken_history_is_refused_with_the_remedy(history: str, tmp_path: Path) -> None:
    path = tmp_path / "pseudo.parquet"
    write_table(path, PSEUDO, [replace(SAMPLE, history=to_history(TURNS))])
    table = pq.read_table(path)
    column = table.column_names.index("history")
    pq.write_table(table.set_column(column, "history", pa.array([history], pa.string())), path)
    with pytest.raises(ArtifactError, match=naming(path, "history", REMEDY)):
        read_rows(path, PSEUDO_SCHEMA, REMEDY)
