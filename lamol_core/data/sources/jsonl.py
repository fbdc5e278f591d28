"""JSON lines: an object a line, whose keys are the columns. One array of such objects will do."""

import json
from contextlib import suppress
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
        text = read_text(path)
        rows: list[tuple[int, dict[str, object]]] = _array(text)
        unit: Literal["line", "row"] = "row" if rows else "line"
        broken: list[tuple[int, str]] = []
        # not splitlines(): U+2028 and its like may stand inside a JSON string
        for number, line in enumerate([] if rows else text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                broken.append((number, f"is not JSON ({_reason(error)})"))
                continue
            if isinstance(row, dict):
                rows.append((number, row))
            else:
                broken.append((number, f"is a {type(row).__name__}, not an object with columns"))
        if broken:
            raise broken_lines(path, broken)
        columns = list(dict.fromkeys(name for _, row in rows for name in row))
        return Table(str(path), unit, columns, rows)


def _array(text: str) -> list[tuple[int, dict[str, object]]]:
    """The objects of a JSON array, numbered; [] where the text is none. Its lines say why."""
    with suppress(ValueError, RecursionError):
        values = json.loads(text) if text.lstrip().startswith("[") else []
        if all(isinstance(value, dict) for value in values):
            return list(enumerate(values, start=1))
    return []


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    return first_line(error)
