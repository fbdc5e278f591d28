"""`.lamol/forgotten/T/`: that a task's rows were forgotten, where no `dvc repro` removes it.

DVC empties `data/T` before it runs `prepare@T` again, whatever the reason. With the record that
stage writes the empty tables anew and leaves the source unread: forgotten rows do not come back by
accident. Removing the record is how they do.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamol_core.data.task_data import FORGOTTEN, Removed, TaskData, facts_from, removed_from
from lamol_core.errors import ArtifactError
from lamol_core.params_file import originals
from lamol_core.records import SPLITS, TaskFacts
from lamol_core.storage.atomic import atomic_folder

FACTS = "facts.json"


@dataclass(frozen=True)
class Record:
    """What was forgotten of a task, and what is written in the rows' place."""

    folder: Path
    facts: TaskFacts
    removed: Mapping[str, Removed]

    @property
    def is_complete(self) -> bool:
        """Whether no split of the task is left to read."""
        return set(self.removed) == set(SPLITS)

    def copy_into(self, folder: Path) -> None:
        """Put the empty tables, and what was kept of the rows, into a scratch `data/T`."""
        for path in self.folder.iterdir():
            if path.name != FACTS:
                shutil.copyfile(path, folder / path.name)

    def rows(self, facts: TaskFacts) -> dict[str, int]:
        """Rows by split, as far as they are still there."""
        return {**facts.num_rows, **dict.fromkeys(self.removed, 0)}


def write_record(folder: Path, own: TaskData, kept: Sequence[str]) -> None:
    """Of a task's own folder, after its rows were forgotten; `kept` are files in their place."""
    removed = own.forgotten(own.name)
    names = [*(f"{split}.parquet" for split in removed), FORGOTTEN, *kept]
    with atomic_folder(folder) as scratch:
        for name in names:
            shutil.copyfile(own.folder / name, scratch / name)
        (scratch / FACTS).write_text(json.dumps(own.facts.as_dict()) + "\n", encoding="utf-8")


def read_record(folder: Path) -> Record | None:
    """None where nothing of the task was forgotten; in a copy that `dvc exp` made of the project
    the project's own record counts. Raises ArtifactError when it is broken."""
    places = [place for place in (folder, *originals(folder)) if (place / FACTS).is_file()]
    if not places:
        return None
    folder = places[0]
    path = folder / FACTS
    try:
        facts = facts_from(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactError(
            f"{path}: is no record of a forgotten task ({error}). Put it back, or run `lamol "
            f"forget {folder.name}` again; without {folder} its source would be read again."
        ) from error
    return Record(folder, facts, removed_from(folder / FORGOTTEN))
