"""Records in `.lamol/forgotten/T/` that task T's rows were forgotten. `dvc repro` never removes
them.

`prepare@T` writes `data/T` anew each time it runs. Where it finds a record, it writes empty tables
for the forgotten splits, so that their rows do not come back by accident. A user who wants the rows
back removes the record. A record also names the source of the rows: no task with another name may
read that source either.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.figures import read_json_as
from lamol_core.artifacts.manifest import sha256_of_json
from lamol_core.config.paths import originals
from lamol_core.data.overlap import may_share_rows
from lamol_core.data.sources.registry import Source
from lamol_core.data.task_data import FORGOTTEN, Removed, TaskData, removed_from
from lamol_core.records import SPLITS, Example, TaskFacts

FACTS = "facts.json"
SOURCE = "source.json"
HELD_OUT = "held_out.json"


@dataclass(frozen=True)
class KeptSources:
    """The content of source.json: `source` and `also_of` of a Record."""

    source: Source
    also_of: dict[str, Source]


@dataclass(frozen=True)
class Record:
    """What was forgotten of a task. `folder` holds the files that replace its rows, `removed` the
    forgotten splits."""

    folder: Path
    facts: TaskFacts
    removed: Mapping[str, Removed]
    source: Source | None = None
    """The source that the rows were read from. None where it was emptied, and in the records of
    older versions."""
    also_of: Mapping[str, Source] = field(default_factory=dict)
    """The sources of other tasks, by name, that had rows of `source` at that time and kept them."""
    held_out: Mapping[str, str] = field(default_factory=dict)
    """The hash of each split that stayed, by `hash_of_rows`."""

    @property
    def task(self) -> str:
        return self.facts.name

    @property
    def is_complete(self) -> bool:
        """Whether all splits of the task were forgotten."""
        return set(self.removed) == set(SPLITS)

    def copy_into(self, folder: Path) -> None:
        """Copy the empty tables, and the other files kept with them, into a scratch folder for
        `data/T`."""
        for path in self.folder.iterdir():
            if path.name not in (FACTS, SOURCE, HELD_OUT):
                shutil.copyfile(path, folder / path.name)

    def changed(self, rows: Mapping[str, Sequence[Example]]) -> list[str]:
        """The splits that stayed, but have other rows now: forgotten ones may be among them."""
        return [split for split, kept in self.held_out.items() if hash_of_rows(rows[split]) != kept]

    def rows(self, facts: TaskFacts) -> dict[str, int]:
        """The number of rows of each split: 0 where it was forgotten, else as in `facts`."""
        return {**facts.num_rows, **dict.fromkeys(self.removed, 0)}


def write_record(
    folder: Path,
    own: TaskData,
    kept: Sequence[str],
    source: Source | None,
    also_of: Mapping[str, Source],
) -> None:
    """Write the record of a task whose rows were just forgotten.

    `own`: the task's data folder. `kept`: the names of further files to copy from it. `source` and
    `also_of`: as in Record."""
    removed = own.forgotten(own.name)
    names = [*(f"{split}.parquet" for split in removed), FORGOTTEN, *kept]
    with atomic_folder(folder) as scratch:
        for name in names:
            shutil.copyfile(own.folder / name, scratch / name)
        _write_json(scratch / FACTS, asdict(own.facts))
        left = [split for split in SPLITS if split not in removed]
        hashes = {split: hash_of_rows(own.rows_left(own.name, split)) for split in left}
        _write_json(scratch / HELD_OUT, hashes)
        if source is not None:
            others = {name: other.model_dump(mode="json") for name, other in also_of.items()}
            plain = {"source": source.model_dump(mode="json"), "also_of": others}
            _write_json(scratch / SOURCE, plain)


def read_record(folder: Path) -> Record | None:
    """The record in a folder; None where nothing of the task was forgotten.

    In a copy of the project that `dvc exp` made, the record of the original project is used too.
    Raises ArtifactError where the record is broken."""
    found = [path for path in (folder, *originals(folder)) if (path / FACTS).is_file()]
    if not found:
        return None
    folder = found[0]
    again = (
        f"Restore the record, or run `lamol forget {folder.name}` again; without a record the "
        "source is read again."
    )
    facts = read_json_as(TaskFacts, folder / FACTS, again)
    removed, held_out = removed_from(folder / FORGOTTEN), dict[str, str]()
    if (folder / HELD_OUT).is_file():
        held_out = read_json_as(dict[str, str], folder / HELD_OUT, again)
    if not (folder / SOURCE).is_file():
        return Record(folder, facts, removed, held_out=held_out)
    kept = read_json_as(KeptSources, folder / SOURCE, again)
    return Record(folder, facts, removed, kept.source, kept.also_of, held_out)


def hash_of_rows(rows: Sequence[Example]) -> str:
    """The hash of the texts of rows, in their order."""
    return sha256_of_json([[row.input, row.target, row.history] for row in rows])


def read_records(folder: Path) -> list[Record]:
    """Every record below `folder`, which is `.lamol/forgotten`, found and read as `read_record`
    does."""
    folders = [folder, *originals(folder)]
    names = {path.parent.name for parent in folders for path in parent.glob(f"*/{FACTS}")}
    # a name with a dot is what a killed process was writing
    found = [read_record(folder / name) for name in sorted(names) if not name.startswith(".")]
    return [record for record in found if record is not None]


def forgotten_under_another_name(
    task: str, source: Source, records: Sequence[Record], root: Path
) -> str | None:
    """A sentence where a task would read rows that were forgotten under another task's name.

    None where it would not, or where the task already had these rows at that time. `root` is the
    folder of params.yaml."""
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
                f"tasks.{task}.source: the rows of {record.task} were read from it and "
                f"forgotten on {when}. Give {task} another source, or remove {record.folder} to "
                "let both tasks read these rows."
            )
    return None


def _resolved(source: Source | None, root: Path) -> Source | None:
    return None if source is None else source.resolved(root)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
