"""The base class of sources that read local files: it finds the file of each split."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from lamol_core.config.paths import resolve_path, say_missing
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


class LocalFiles(SourceSpec):
    """One file of training rows, or a folder with the files train.*, dev.* and test.*.

    Attributes:
        path: The file or the folder.
    """

    path: str
    suffix: ClassVar[str]

    @abstractmethod
    def read_file(self, path: Path) -> Table:
        """The cells of one file. Raises SourceError that says what is broken and where, or OSError
        where the file cannot be read."""

    def read(self, root: Path) -> dict[str, Table]:
        return collect(self.split_files(root), lambda _, path: _on_disk(path, self.read_file))

    def locations(self, root: Path) -> set[Hashable]:
        return {*self.files(root), resolve_path(self.path, root).resolve()}

    @property
    def local_path(self) -> str:
        return self.path

    def resolved(self, root: Path) -> Self:
        return self.model_copy(update={"path": str(resolve_path(self.path, root).resolve())})

    def split_files(self, root: Path) -> dict[str, Path]:
        path = resolve_path(self.path, root)
        if _on_disk(path, Path.is_file):  # whose name may be too long for one
            return {"train": path}
        if not path.is_dir():
            raise SourceError([say_missing(path, self.path, root)])
        found = {split: self._existing(path, choices) for split, choices in _NAMES.items()}
        problems = [
            f"{path}: holds {' and '.join(file.name for file in files)}; only one can be the "
            f"{split} split."
            for split, files in found.items()
            if len(files) > 1
        ]
        if not found["train"]:
            problems.append(no_training_file(path, [self.suffix]))
        if problems:
            raise SourceError(problems)
        return {split: files[0] for split, files in found.items() if files}

    def _existing(self, folder: Path, choices: Sequence[Sequence[str]]) -> list[Path]:
        there = ([folder / f"{name}{self.suffix}" for name in names] for names in choices)
        files = ([path for path in paths if path.is_file()] for paths in there)
        return next(filter(None, files), [])

    def unread_files(self, root: Path, suffixes: Collection[str]) -> list[str]:
        read = set(self.split_files(root).values())
        splits = {name for choices in _NAMES.values() for names in choices for name in names}
        return sorted(
            file.name
            for file in resolve_path(self.path, root).glob("[!.]*.*")
            if file not in read and file.is_file()
            if file.suffix == self.suffix or (file.stem in splits and file.suffix in suffixes)
        )


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


def broken_lines(path: Path, broken: Sequence[tuple[int, str]]) -> SourceError:
    """The error for lines that are broken, given as (number, problem). It names the first line and
    counts the others."""
    (number, reason), more = broken[0], len(broken) - 1
    others = f", and {counted(more, 'line')} more" if more else ""
    mend = f"Fix or delete {'them' if more else 'it'}."
    return SourceError([f"{path}: line {number} {reason}{others}. {mend}"])


def _on_disk(path: Path, do: Callable[[Path], T]) -> T:
    try:
        return do(path)
    except OSError as error:
        raise SourceError([f"{path}: cannot be read ({error.strerror or error})."]) from error
