"""JSON lines: an object a line, whose keys are the columns. One array of such objects will do."""

import json
from json import JSONDecodeError
from pathlib import Path
from typing import Literal

from lamol_core.data.columns import Table
from lamol_core.data.sources.local_files import LocalFiles, broken_lines, read_text
from lamol_core.errors import first_line


class JsonlSource(LocalFiles):
    """JSON lines."""

    kind: Literal["jsonl"]
    suffixes = (".jsonl", ".json")

    def read_file(self, path: Path) -> Table:
        unit, values = _read(read_text(path))
        rows = [(number, value) for number, value in values if isinstance(value, dict)]
        wrong = [
            (number, _problem(value)) for number, value in values if not isinstance(value, dict)
        ]
        if wrong:
            raise broken_lines(path, wrong, unit)
        columns = list(dict.fromkeys(name for _, row in rows for name in row))
        return Table(str(path), unit, columns, rows)


def _read(text: str) -> tuple[Literal["line", "row"], list[tuple[int, object]]]:
    """The values of an array, numbered by rows, or those of lines; an error stands for what is not
    JSON. What begins as an array is one, unless its first line is a whole value."""
    # not splitlines(): U+2028 and its like may stand inside a JSON string
    every = enumerate(text.split("\n"), start=1)
    lines = [(number, line) for number, line in every if line.strip()]
    if lines and lines[0][1].lstrip().startswith("["):
        whole = _parsed(text)
        if isinstance(whole, list):
            return "row", list(enumerate(whole, start=1))
        if isinstance(_parsed(lines[0][1]), Exception):
            return "line", [(getattr(whole, "lineno", lines[0][0]), whole)]
    return "line", [(number, _parsed(line)) for number, line in lines]


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return error


def _problem(value: object) -> str:
    if isinstance(value, JSONDecodeError):
        return f"is not JSON ({value.msg}, column {value.colno})"
    if isinstance(value, Exception):
        return f"is not JSON ({first_line(value)})"
    return f"is a {type(value).__name__}, not an object with columns"
