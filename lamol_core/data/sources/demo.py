"""The bundled demo corpus: five small tasks, written by scripts/make_demo_corpus.py."""

from collections.abc import Hashable
from importlib import resources
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq

from lamol_core.data.columns import SourceError, Table
from lamol_core.data.sources.spec import SourceSpec
from lamol_core.records import SPLITS

DEMO_TASKS = ("home", "travel", "sentiment", "slots", "query")


class DemoSource(SourceSpec):
    """One task of the bundled corpus.

    Attributes:
        task: `home`, `travel`, `sentiment`, `slots` or `query`.
    """

    kind: Literal["demo"]
    task: str

    def read(self, root: Path) -> dict[str, Table]:
        tables = {}
        for split in SPLITS:
            rows = list(enumerate(demo_rows(self.task, split), start=1))
            where = f"demo task {self.task!r}, {split}"
            tables[split] = Table(where, "row", ["input", "target"], rows)
        return tables

    def locations(self, root: Path) -> set[Hashable]:
        return {(self.kind, self.task)}


def demo_rows(task: str, split: str) -> list[dict[str, str]]:
    """The rows {"input", "target"} of a demo task's split, in file order.
    Raises SourceError for a task that the corpus does not have."""
    if task not in DEMO_TASKS:
        listed = ", ".join(DEMO_TASKS)
        raise SourceError([f"The demo corpus has no task {task!r}. Use one of {listed}."])
    chosen = [("task", "=", task), ("split", "=", split)]
    with resources.as_file(resources.files("lamol_core.data") / "demo_corpus.parquet") as path:
        rows: list[dict[str, str]] = pq.read_table(
            path, columns=["input", "target"], filters=chosen
        ).to_pylist()
    return rows
