"""How a file is read: one reader a format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from lamol_core.data.columns import SourceError, Table, counted
from lamol_core.errors import first_line

FileReader = Callable[[Path, Sequence[str]], Table]
"""From a file and the columns that are needed, at least, to its cells. Raises SourceError (or an
OSError) with what is broken, and where."""
Record = tuple[int, list[str]]
"""The number of a line, and its fields."""


def _read_jsonl(path: Path, needed: Sequence[str]) -> Table:
    rows: list[tuple[int, dict[str, object]]] = []
    broken: list[tuple[int, str]] = []
    # not splitlines(): U+2028 and its like may stand inside a JSON string
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = (
                f"{error.msg}, column {error.colno}"
                if isinstance(error, json.JSONDecodeError)
                else first_line(error)
            )
            broken.append((number, f"is not JSON ({reason})"))
            continue
        if isinstance(row, dict):
            rows.append((number, row))
        else:
            broken.append((number, f"is a {type(row).__name__}, not an object with columns"))
    if broken:
        raise SourceError([_broken_lines(path, broken)])
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    return Table(str(path), "line", columns, rows)


def _read_csv(path: Path, needed: Sequence[str]) -> Table:
    return _table_of(path, _quoted_records(path, ","), ",")


def _read_tsv(path: Path, needed: Sequence[str]) -> Table:
    """A line a row, if all have the fields of the first: a quotation mark is text like any other,
    and only around a whole field it is taken off. Else fields in quotes may hold tabs and ends of
    lines, as in CSV."""
    lines = _read_text(path).replace("\r\n", "\n").split("\n")
    records = [
        (number, [_unquoted(field) for field in line.split("\t")])
        for number, line in enumerate(lines, start=1)
        if line
    ]
    if len({len(fields) for _, fields in records}) > 1:
        records = _quoted_records(path, "\t")
    return _table_of(path, records, "\t")


def _quoted_records(path: Path, delimiter: str) -> list[Record]:
    csv.field_size_limit(2**31 - 1)  # a long field is cut where it is trained on
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), delimiter=delimiter, strict=True)
    records: list[Record] = []
    start = 1
    try:
        for record in reader:
            if record:
                records.append((start, record))
            start = reader.line_num + 1
    except csv.Error as error:
        raise SourceError([_broken_lines(path, [(start, f"is broken ({error})")])]) from error
    return records


def _unquoted(field: str) -> str:
    whole = re.fullmatch(r'"((?:[^"]|"")*)"', field)
    return whole[1].replace('""', '"') if whole else field


def _table_of(path: Path, records: Sequence[Record], separator: str) -> Table:
    """Rows by the names in the first record. Raises SourceError where they do not fit."""
    if not records:
        raise SourceError([f"{path}: empty; its first line must name the columns."])
    (_, header), *body = records
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise SourceError([f"{path}: line 1 names the column {doubled[0]!r} more than once."])
    broken = [
        (number, f"has {counted(len(record), 'field')} where line 1 has {len(header)}")
        for number, record in body
        if len(record) != len(header)
    ]
    if broken:
        raise SourceError([_broken_lines(path, broken)])
    rows = [(number, dict(zip(header, record, strict=True))) for number, record in body]
    return Table(str(path), "line", header, rows, text_only=True, separator=separator)


def _read_parquet(path: Path, needed: Sequence[str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        columns = file.schema_arrow.names
        table = file.read(columns=[name for name in needed if name in columns])
    except pa.ArrowException as error:
        raise SourceError([f"{path}: not readable as Parquet ({first_line(error)})."]) from error
    return Table(str(path), "row", columns, list(enumerate(table.to_pylist(), start=1)))


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SourceError(
            [f"{path}: line {line} is not UTF-8. Save the file as UTF-8 and try again."]
        ) from error


def _broken_lines(path: Path, broken: Sequence[tuple[int, str]]) -> str:
    (number, reason), more = broken[0], len(broken) - 1
    others = f", and {counted(more, 'line')} more" if more else ""
    return f"{path}: line {number} {reason}{others}. Mend or delete {'them' if more else 'it'}."


FORMATS: dict[str, FileReader] = {
    "jsonl": _read_jsonl,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "parquet": _read_parquet,
}
"""By the kind of a source, which is the ending of its files too."""
