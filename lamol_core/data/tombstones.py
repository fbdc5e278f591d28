"""`.lamol/forgotten/T/`: that a task's rows were forgotten, where no `dvc repro` removes it.

`prepare@T` writes `data/T` anew whenever it runs, whatever the reason. With the record it writes
the empty tables again and leaves the source unread: forgotten rows do not come back by accident.
Removing the record is how they do. A record goes by the task's name, and by the source that its
rows came from, which is not read under another name either.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.figures import read_json_as
from lamol_core.config.paths import originals
from lamol_core.data.overlap import may_share_rows
from lamol_core.data.sources.registry import Source
from lamol_core.data.task_data import FORGOTTEN, Removed, TaskData, removed_from
from lamol_core.records import SPLITS, TaskFacts

FACTS = "facts.json"
SOURCE = "source.json"


@dataclass(frozen=True)
class Origin:
    """The content of source.json."""

    source: Source
    also_of: dict[str, Source]


@dataclass(frozen=True)
class Record:
    """What was forgotten of a task, and the files that replace its rows."""

    folder: Path
    facts: TaskFacts
    removed: Mapping[str, Removed]
    source: Source | None = None
    """What the rows were read from; None where it was emptied, or in a record of an older version.
    """
    also_of: Mapping[str, Source] = field(default_factory=dict)
    """Tasks that had rows of that source when they were forgotten, and kept them: their sources."""

    @property
    def task(self) -> str:
        return self.facts.name

    @property
    def is_complete(self) -> bool:
        """Whether no split of the task is left to read."""
        return set(self.removed) == set(SPLITS)

    def copy_into(self, folder: Path) -> None:
        """Put the empty tables, and what was kept of the rows, into a scratch `data/T`."""
        for path in self.folder.iterdir():
            if path.name not in (FACTS, SOURCE):
                shutil.copyfile(path, folder / path.name)

    def rows(self, facts: TaskFacts) -> dict[str, int]:
        """The number of rows of each split: 0 where it was forgotten, else that in `facts`."""
        return {**facts.num_rows, **dict.fromkeys(self.removed, 0)}


def write_record(
    folder: Path,
    own: TaskData,
    kept: Sequence[str],
    source: Source | None = None,
    also_of: Mapping[str, Source] = MappingProxyType({}),
) -> None:
    """Write the record of a task whose rows were just forgotten; `own` is its folder, `kept` are
    files there to keep, `source` and `also_of` as in the record."""
    removed = own.forgotten(own.name)
    names = [*(f"{split}.parquet" for split in removed), FORGOTTEN, *kept]
    with atomic_folder(folder) as scratch:
        for name in names:
            shutil.copyfile(own.folder / name, scratch / name)
        _write_json(scratch / FACTS, own.facts.as_dict())
        if source is not None:
            others = {name: other.model_dump(mode="json") for name, other in also_of.items()}
            plain = {"source": source.model_dump(mode="json"), "also_of": others}
            _write_json(scratch / SOURCE, plain)


def read_record(folder: Path) -> Record | None:
    """None where nothing of the task was forgotten. In a copy of the project that `dvc exp` made
    the project's own record counts. Raises ArtifactError for a broken one."""
    found = [path for path in (folder, *originals(folder)) if (path / FACTS).is_file()]
    if not found:
        return None
    folder = found[0]
    again = (
        f"Put the record back, or run `lamol forget {folder.name}` again; without it the source "
        "would be read again."
    )
    facts = read_json_as(TaskFacts, folder / FACTS, again)
    removed = removed_from(folder / FORGOTTEN)
    if not (folder / SOURCE).is_file():
        return Record(folder, facts, removed)
    origin = read_json_as(Origin, folder / SOURCE, again)
    return Record(folder, facts, removed, origin.source, origin.also_of)


def read_records(folder: Path) -> list[Record]:
    """Every record below `.lamol/forgotten`, as `read_record` finds them."""
    folders = [folder, *originals(folder)]
    names = {path.parent.name for parent in folders for path in parent.glob(f"*/{FACTS}")}
    # a name with a dot is what a killed process was writing
    found = [read_record(folder / name) for name in sorted(names) if not name.startswith(".")]
    return [record for record in found if record is not None]


def forgotten_under_another_name(
    task: str, source: Source, records: Sequence[Record], root: Path
) -> str | None:
    """A sentence where a task would read rows that were forgotten as another task's; None where it
    would not, or already had them then. `root` is the folder of params.yaml."""
    given = _resolved(source, root)
    for record in records:
        known = _resolved(record.source, root)
        if record.task == task and (record.is_complete or known in (None, given)):
            return None  # it reads no forgotten row again
    for record in records:
        had = _resolved(record.also_of.get(task), root)
        if record.task == task or record.source is None or had == given:
            continue
        if may_share_rows(source, record.source, root):
            when = max(removed.forgotten_on for removed in record.removed.values())
            return (
                f"tasks.{task}.source: {record.task} was read from there, and its rows were "
                f"forgotten on {when}. Give {task} another source, or remove {record.folder}: both "
                "read these rows again then."
            )
    return None


def _resolved(source: Source | None, root: Path) -> Source | None:
    return None if source is None else source.resolved(root)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
