"""Finds real rows of a task outside of `data/`, by the content of tables.

Such tables can be in DVC's cache (memories of `replay` and `derpp`; `data/` itself after a manual
`dvc commit`), and in the state of an interrupted training.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lamol_core.artifacts.spec import PSEUDO, remedy
from lamol_core.artifacts.tables import read_rows
from lamol_core.config.paths import begins_with
from lamol_core.records import PSEUDO_SCHEMA, inputs_of
from lamol_core.text.normalise import normalise

COLUMNS = pa.schema([PSEUDO_SCHEMA.field(name) for name in ("source_task", "input")])
"""The columns of a table of pseudo-samples that every version of lamol writes."""


def tables_with_rows(folder: Path, task: str, splits: Sequence[str]) -> Iterator[Path]:
    """Yield every table below a folder that holds real rows of these splits of a task."""
    prefixes = [f"{task}/{split}/" for split in splits]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and begins_with(path, b"PAR1") and _has_rows(path, prefixes):
            yield path


def num_repeated(table: Path, inputs: Collection[str]) -> int:
    """Return how many pseudo-samples have one of these inputs, in any of their turns, whatever task
    they were drawn of; case and white space do not count. Raises ArtifactError for a table that
    can't be read."""
    known = {normalise(text) for text in inputs}
    mend = f"{remedy(PSEUDO, table.parent.name)} Delete it if no task uses it."
    rows = read_rows(table, COLUMNS, mend).to_pylist()
    return sum(
        not known.isdisjoint(map(normalise, inputs_of(row["input"], row.get("history") or "")))
        for row in rows
    )


def _has_rows(path: Path, prefixes: Sequence[str]) -> bool:
    try:
        if not {"row_id", "input"} <= set(pq.read_schema(path).names):
            return False
        row_ids = pq.read_table(path, columns=["row_id"])["row_id"]
    except (pa.ArrowException, OSError):
        return False  # broken or cut off: it can't be read as a table
    return any(pc.any(pc.starts_with(row_ids, prefix)).as_py() for prefix in prefixes)
