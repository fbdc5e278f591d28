"""Read `data/T/`: the rows of task T, the rows of earlier tasks (links), and the lineage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lamol_core.artifacts.figures import read_json_as
from lamol_core.artifacts.manifest import MANIFEST, Manifest, check_folder, read_manifest
from lamol_core.artifacts.spec import DATA, Of, remedy, repro
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
    """A table that `lamol forget` emptied: how many rows it had, its hash, and the date."""

    rows: int
    sha256: str
    """Hex sha256 of the file before it was emptied."""
    forgotten_on: str


@dataclass(frozen=True)
class TaskData:
    """An open folder `data/T/`. Rows are read only when a method asks for them."""

    folder: Path
    lineage: tuple[TaskFacts, ...]
    """Every task from the first one to this one, in the order of learning."""
    hashes: Mapping[str, str]
    """Hex sha256 of each file, by its name in the folder."""

    @classmethod
    def read(cls, inputs: Inputs, of: Of = "task") -> TaskData:
        """Open and check a data folder that the stage declares as an input; `of` says whose. Raises
        ArtifactError, which names the command that makes the folder again."""
        return cls._opened(inputs.path(DATA, of), inputs.check(DATA, of))

    @classmethod
    def load(cls, folder: Path, check: bool = True) -> TaskData:
        """Open any data folder. With `check` every file is compared with the manifest. Raises
        ArtifactError as `read` does."""
        mend = remedy(DATA, folder.name)
        if not check:
            return cls._opened(folder, read_manifest(folder / MANIFEST, mend))
        return cls._opened(folder, check_folder(folder, DATA.kind, mend))

    @classmethod
    def _opened(cls, folder: Path, manifest: Manifest) -> TaskData:
        lineage = read_json_as(list[TaskFacts], folder / LINEAGE, remedy(DATA, folder.name))
        return cls(folder, tuple(lineage), manifest.files)

    @property
    def name(self) -> str:
        return self.lineage[-1].name if self.lineage else BASE

    @property
    def facts(self) -> TaskFacts:
        """The facts of the folder's task. Raises ArtifactError for `data/base`, which has no
        task."""
        if not self.lineage:
            raise ArtifactError(
                f"{self.folder}: holds no task: it is the state before the first task."
            )
        return self.lineage[-1]

    @property
    def earlier(self) -> tuple[TaskFacts, ...]:
        return self.lineage[:-1]

    def rows(self, split: str) -> list[Example]:
        """The rows of the folder's own task in one split: train, dev or test.

        Raises ArtifactError where they cannot be read or were forgotten."""
        return self.seen_rows(self.facts.name, split)

    def seen_rows(self, task: str, split: str) -> list[Example]:
        """The rows of this task or an earlier one in one split. Raises ArtifactError where they
        cannot be read or were forgotten, and for any other task."""
        if (removed := self.forgotten(task).get(split)) is not None:
            raise ArtifactError(
                f"{self.file(task, split)}: its {removed.rows} rows were forgotten on "
                f"{removed.forgotten_on}. Undo the change that needs them "
                f"(`git checkout params.yaml dvc.lock`), then {repro(DATA, task)} and `dvc "
                f"checkout`; or remove .lamol/forgotten/{task} to "
                "read them from the source again."
            )
        return self.rows_left(task, split)

    def rows_to_mix(self, with_earlier: bool) -> list[Example]:
        """The task's training rows; after them those of every earlier task if `with_earlier` is
        set. Raises ArtifactError where one of these tables is missing or was forgotten."""
        rows = self.rows("train")
        if with_earlier:
            rows += [row for facts in self.earlier for row in self.seen_rows(facts.name, "train")]
        return rows

    def rows_left(self, task: str, split: str) -> list[Example]:
        """The rows of this task or an earlier one in one split; [] where they were forgotten.
        Raises ArtifactError where they cannot be read."""
        table = read_rows(self.file(task, split), DATA.schema, remedy(DATA, self.name))
        return from_table(table, Example)

    def forgotten(self, task: str) -> dict[str, Removed]:
        """Each forgotten split of a task, with the rows it had, the hash of its file, and the date;
        {} if none was forgotten."""
        return removed_from(self.file(task, "train").parent / FORGOTTEN)

    def file(self, task: str, split: str) -> Path:
        """The path of a split of this task or an earlier one. Raises ArtifactError for any other
        task."""
        if task == self.facts.name:
            return self.folder / f"{split}.parquet"
        known = [facts.name for facts in self.earlier]
        if task not in known:
            listed = ", ".join([*known, self.name])
            raise ArtifactError(f"{self.folder}: no rows of task {task!r}; it has {listed}.")
        return self.folder / SEEN / task / f"{split}.parquet"


def system_of(folder: Path) -> str:
    """The system message of a task of chat data, by its data folder; "" where there is none."""
    return TaskData.load(folder, check=False).facts.system if folder.is_dir() else ""


def removed_from(path: Path) -> dict[str, Removed]:
    """The content of a forgotten.json, by split; {} where there is no such file. Raises
    ArtifactError where it is broken."""
    again = "Run `lamol forget` for its task again."
    return read_json_as(dict[str, Removed], path, again) if path.is_file() else {}
