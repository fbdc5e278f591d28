"""The base class of sources that read local files: it finds the file of each split."""

import re
from abc import abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Literal, Self, TypeVar

from lamol_core.config.paths import pointer_problem, resolve_path, say_missing
from lamol_core.data.columns import SourceError, Table, collect, counted
from lamol_core.data.sources.spec import SourceSpec

T = TypeVar("T")
_NAMES = {
    "train": [["train"]],
    "dev": [["dev", "validation"], ["valid", "val"]],
    "test": [["test"]],
}
"""The allowed file names of each split. A later list is used only where no file of an earlier list
exists."""
SHARD = re.compile(r"-\d+-of-(\d+)(?:-[0-9a-f]+)?$")
"""The end of the hub's name of one of the files that a split is cut into, before its suffix."""


class LocalFiles(SourceSpec):
    """One file of training rows, or a folder with the files train.*, dev.* and test.*. As on the
    hub, they may lie in a folder `data` inside, and each may be cut into shards.

    Attributes:
        path: The file or the folder.
    """

    path: str

    @abstractmethod
    def read_file(self, path: Path) -> Table:
        """The cells of one file. Raises SourceError that says what is broken and where, or OSError
        where the file cannot be read."""

    def read(self, root: Path) -> dict[str, Table]:
        return collect(
            self.split_files(root),
            lambda _, paths: _joined([_on_disk(path, self._read_whole) for path in paths]),
        )

    def _read_whole(self, path: Path) -> Table:
        if problem := pointer_problem(path):
            raise SourceError([problem])
        return self.read_file(path)

    def locations(self, root: Path) -> set[Hashable]:
        return {*self.files(root), resolve_path(self.path, root).resolve()}

    @property
    def local_path(self) -> str:
        return self.path

    def resolved(self, root: Path) -> Self:
        return self.model_copy(update={"path": str(resolve_path(self.path, root).resolve())})

    def split_files(self, root: Path) -> dict[str, list[Path]]:
        path = resolve_path(self.path, root)
        if _on_disk(path, Path.is_file):  # whose name may be too long for one
            return {"train": [path]}
        if not path.is_dir():
            raise SourceError([say_missing(path, self.path, root)])
        folder = home_of_files(path, self.suffixes)
        suffix = [suffix for suffix in self.suffixes if find_files(folder, [suffix])][:1]
        found = {split: find_files(folder, suffix, split) for split in _NAMES}
        problems = [
            f"{path}: holds {' and '.join(files[0].name for files in choices)}; only one can be "
            f"the {split} split."
            for split, choices in found.items()
            if len(choices) > 1
        ]
        problems += [
            f"{files[0]}: only {len(files)} of its {int(shard[1])} shards are there. Fetch all."
            for files in chain(*found.values())
            if (shard := SHARD.search(files[0].stem)) and len(files) != int(shard[1])
        ]
        if not found["train"]:
            problems.append(no_training_file(path, self.suffixes))
        if problems:
            raise SourceError(problems)
        return {split: choices[0] for split, choices in found.items() if choices}

    def unread_files(self, root: Path, suffixes: Collection[str]) -> list[str]:
        read = set(chain(*self.split_files(root).values()))
        own = {file.suffix for file in read}
        splits = {name for choices in _NAMES.values() for names in choices for name in names}
        path = resolve_path(self.path, root)
        folder = home_of_files(path, self.suffixes) if path.is_dir() else path
        return sorted(
            file.name
            for file in folder.glob("[!.]*.*")
            if file not in read and file.is_file()
            if file.suffix in own or (file.stem in splits and file.suffix in suffixes)
        )


def home_of_files(folder: Path, suffixes: Collection[str]) -> Path:
    """The folder itself, or `data` inside where only that has training files."""
    inside = folder / "data"
    return folder if find_files(folder, suffixes) or not inside.is_dir() else inside


def find_files(folder: Path, suffixes: Collection[str], split: str = "train") -> list[list[Path]]:
    """Every choice of files for a split in a folder: one file, or its shards in order."""
    for names in _NAMES[split]:
        choices: dict[str, list[Path]] = {}
        for file in sorted(folder.iterdir()):
            if SHARD.sub("", file.stem) in names and file.suffix in suffixes and file.is_file():
                choices.setdefault(SHARD.sub(r"-of-\1", file.stem) + file.suffix, []).append(file)
        if choices:
            return list(choices.values())
    return []


def _joined(tables: Sequence[Table]) -> Table:
    """The shards of a split as one table. Its rows are counted over all of them."""
    first, *more = tables
    if not more:
        return first
    rows = list(enumerate((row for table in tables for _, row in table.rows), start=1))
    columns = list(dict.fromkeys(name for table in tables for name in table.columns))
    where = f"{first.where} and {counted(len(more), 'shard')} more"
    return replace(first, where=where, unit="row", columns=columns, rows=rows)


def no_training_file(folder: Path, suffixes: Iterable[str]) -> str:
    """A sentence: the folder has no training file with one of these suffixes, and what it holds."""
    wanted = " or ".join(f"train{suffix}" for suffix in suffixes)
    names = sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".")
    held = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
    return (
        f"{folder}: no file {wanted} in this folder, which holds: {held or 'nothing'}. "
        "Rename the training file to this, or give the path of a file."
    )


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark. Raises SourceError where the
    file is not UTF-8."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = f"{path}: line {line} is not UTF-8. Save the file as UTF-8 and try again."
        raise SourceError([problem]) from error


def broken_lines(
    path: Path, broken: Sequence[tuple[int, str]], unit: Literal["line", "row"] = "line"
) -> SourceError:
    """The error for lines that are broken, given as (number, problem), or for rows of an array. It
    names the first one and counts the others."""
    (number, reason), more = broken[0], len(broken) - 1
    others = f", and {counted(more, unit)} more" if more else ""
    mend = f"Fix or delete {'them' if more else 'it'}."
    return SourceError([f"{path}: {unit} {number} {reason}{others}. {mend}"])


def _on_disk(path: Path, do: Callable[[Path], T]) -> T:
    try:
        return do(path)
    except OSError as error:
        raise SourceError([f"{path}: cannot be read ({error.strerror or error})."]) from error
