"""What `data/T/` holds: the rows of T, links to those of the tasks before it, and its lineage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lamol_core.artifacts.figures import read_json_as
from lamol_core.artifacts.manifest import MANIFEST, Manifest, check_folder, read_manifest
from lamol_core.artifacts.spec import DATA, Of, remedy
from lamol_core.artifacts.store import Inputs
from lamol_core.artifacts.tables import read_rows
from lamol_core.config.task_names import BASE
from lamol_core.errors import ArtifactError
from lamol_core.records import Example, TaskFacts, from_table

LINEAGE = "lineage.json"
SEEN = "seen"
FORGOTTEN = "forgotten.json"


@dataclass(frozen=True)
class Removed:
    """What stood where `lamol forget` left an empty table."""

    rows: int
    sha256: str
    """Of the file's bytes."""
    forgotten_on: str


@dataclass(frozen=True)
class TaskData:
    """A folder `data/T/`, of which no row is read until asked for."""

    folder: Path
    lineage: tuple[TaskFacts, ...]
    """Every task from the first one to this one, in the order of learning."""
    hashes: Mapping[str, str]
    """sha256 of each file, by its name in the folder."""

    @classmethod
    def read(cls, inputs: Inputs, of: Of = "task") -> TaskData:
        """What a stage reads. Raises ArtifactError with the command that makes the folder anew."""
        return cls._opened(inputs.path(DATA, of), inputs.check(DATA, of))

    @classmethod
    def load(cls, folder: Path, check: bool = True) -> TaskData:
        """Open a folder; `check` compares every file with the manifest. Raises as `read`."""
        mend = remedy(DATA, folder.name)
        if check:
            return cls._opened(folder, check_folder(folder, DATA.kind, mend))
        return cls._opened(folder, read_manifest(folder / MANIFEST, mend))

    @classmethod
    def _opened(cls, folder: Path, manifest: Manifest) -> TaskData:
        lineage = read_json_as(list[TaskFacts], folder / LINEAGE, remedy(DATA, folder.name))
        return cls(folder, tuple(lineage), manifest.files)

    @property
    def name(self) -> str:
        return self.lineage[-1].name if self.lineage else BASE

    @property
    def facts(self) -> TaskFacts:
        """Of the task itself. Raises ArtifactError for `data/base`, which is no task's."""
        if not self.lineage:
            raise ArtifactError(f"{self.folder}: holds no task, it stands before the first one.")
        return self.lineage[-1]

    @property
    def earlier(self) -> tuple[TaskFacts, ...]:
        return self.lineage[:-1]

    def rows(self, split: str) -> list[Example]:
        """The task's own rows of train, dev or test.

        Raises ArtifactError when they are unreadable, or were forgotten."""
        return self.seen_rows(self.facts.name, split)

    def seen_rows(self, task: str, split: str) -> list[Example]:
        """Rows of this task or an earlier one. Raises ArtifactError when there are none here."""
        removed = self.forgotten(task).get(split)
        if removed is not None:
            raise ArtifactError(
                f"{self.file(task, split)}: its {removed.rows} rows were forgotten on "
                f"{removed.forgotten_on}. Set back the parameter that asks for them and run `dvc "
                f"checkout`; or remove .lamol/forgotten/{task} to read them from the source again."
            )
        return self.rows_left(task, split)

    def rows_to_mix(self, with_earlier: bool) -> list[Example]:
        """The task's training rows, and with them those of every earlier task where a method mixes
        them in. Raises ArtifactError for a table that is missing or was forgotten."""
        rows = self.rows("train")
        if with_earlier:
            rows += [row for facts in self.earlier for row in self.seen_rows(facts.name, "train")]
        return rows

    def rows_left(self, task: str, split: str) -> list[Example]:
        """`seen_rows`, none where they were forgotten."""
        table = read_rows(self.file(task, split), DATA.schema, remedy(DATA, self.name))
        return from_table(table, Example)

    def forgotten(self, task: str) -> dict[str, Removed]:
        """For each split that was forgotten: how many rows it had, the hash of its file, and the
        date; {} if none was."""
        return removed_from(self.file(task, "train").parent / FORGOTTEN)

    @property
    def train_sha256(self) -> str:
        """Of the task's own training rows."""
        return self.hashes["train.parquet"]

    def file(self, task: str, split: str) -> Path:
        """Where rows of this task or an earlier one are. Raises ArtifactError for another."""
        if task == self.facts.name:
            return self.folder / f"{split}.parquet"
        known = [facts.name for facts in self.earlier]
        if task not in known:
            listed = ", ".join([*known, self.name])
            raise ArtifactError(f"{self.folder}: no rows of task {task!r}; it has {listed}.")
        return self.folder / SEEN / task / f"{split}.parquet"


def removed_from(path: Path) -> dict[str, Removed]:
    """The content of a forgotten.json; {} where there is none. Raises ArtifactError when broken."""
    again = "Run `lamol forget` for its task again."
    return read_json_as(dict[str, Removed], path, again) if path.is_file() else {}
