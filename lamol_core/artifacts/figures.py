"""Small files of results, and how JSON mixes them with measurements of time and memory.

Seconds differ from run to run though nothing else does. A stage that is run again by hand and
finds the same results keeps the first run's file: the same inputs leave the same bytes.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lamol_core.artifacts.atomic import atomic_path
from lamol_core.errors import ArtifactError


def write_json(path: Path, content: dict[str, Any], measured: Sequence[str] = ()) -> None:
    """Write JSON, unless what is there differs in the `measured` top-level keys alone."""
    if path.is_file() and measured:
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            there = None
        if isinstance(there, dict) and _without(there, measured) == _without(content, measured):
            return
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """A JSON object. Raises ArtifactError when it is missing or is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: missing or not JSON ({error}). {remedy}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: not a JSON object. {remedy}")
    return content


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write these columns of rows as CSV; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    with atomic_path(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def _without(content: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in keys}
