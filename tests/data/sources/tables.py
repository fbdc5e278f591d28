"""Tables as files of every kind, and what is read from them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamol_core.data.columns import RawRow, SourceError, limit_rows
from lamol_core.data.sources.registry import Source, parse_source, read_source
from lamol_core.errors import ConfigError

PAIRS = [("hello there", "greet"), ("bye 👋🏽", "part"), ('say "hi", now', "greet")]


def make(**block: Any) -> Source:
    return parse_source(block)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            delimiter = "," if path.suffix == ".csv" else "\t"
            writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    return path


def rows_of(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"input": x, "target": y} for x, y in pairs]


def pairs_of(rows: list[RawRow]) -> list[tuple[str, str]]:
    return [(row.input, row.target) for row in rows]


def limited(source: Source, root: Path) -> dict[str, list[RawRow]]:
    return limit_rows(read_source(source, root), source)


def problems(source: Source, root: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_source(source, root)
    assert isinstance(caught.value, SourceError)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems
