"""Read and write small result files in JSON and CSV.

Measured values, such as seconds, differ from run to run. A stage that runs again with otherwise
equal results keeps the first run's file, so that equal inputs leave equal bytes.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from lamol_core.artifacts.atomic import atomic_path
from lamol_core.errors import ArtifactError

T = TypeVar("T")


def write_json(path: Path, content: dict[str, Any], measured: Sequence[str] = ()) -> None:
    """Write a JSON file. It stays as it is if the new content differs only in the `measured`
    top-level keys."""
    with suppress(ArtifactError):
        if measured and _without(read_json(path, ""), measured) == _without(content, measured):
            return
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a file. Raises ArtifactError as `read_json_as` does."""
    return read_json_as(dict[str, Any], path, remedy)


def read_json_as(kind: type[T], path: Path, remedy: str) -> T:
    """The JSON in a file as a dataclass, or as a list or dict of dataclasses. Raises ArtifactError,
    whose message ends with `remedy`, where the file is missing or has other content."""
    try:
        return TypeAdapter(kind).validate_python(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        keys = ", ".join(map(repr, first["loc"]))
        raise ArtifactError(f"{path}: {keys or 'its content'}: {first['msg']}. {remedy}") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: missing or not JSON ({error}). {remedy}") from error


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write these columns of the rows as CSV. None becomes an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, atomically."""
    with atomic_path(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def _without(content: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in keys}
