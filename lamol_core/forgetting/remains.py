"""Real rows of a task that lie outside `data/`: whatever a file is called, its content tells.

Tables of earlier runs can be in DVC's cache (memories of `replay` and `derpp`; `data/` itself after
a `dvc commit` by hand), in the state of a training that was cut off, and in scratch folders that a
killed process left behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PARQUET = b"PAR1"


def tables_with_rows(folder: Path, task: str, splits: Sequence[str]) -> Iterator[Path]:
    """Every table below a folder that has the text of real rows of these splits of a task."""
    prefixes = [f"{task}/{split}/" for split in splits]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and _is_parquet(path) and _has_rows(path, prefixes):
            yield path


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(PARQUET)) == PARQUET


def _has_rows(path: Path, prefixes: Sequence[str]) -> bool:
    try:
        if not {"row_id", "input"} <= set(pq.read_schema(path).names):
            return False
        row_ids = pq.read_table(path, columns=["row_id"])["row_id"]
    except (pa.ArrowException, OSError):
        return False  # broken or cut off: nothing that can be read as a table
    return any(pc.any(pc.starts_with(row_ids, prefix)).as_py() for prefix in prefixes)
