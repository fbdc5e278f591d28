"""The base class of all sources. To add a kind, write a file with a subclass and a line in the
registry.

`root` is always the folder of params.yaml; relative paths start from it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Hashable, Iterable
from itertools import chain
from pathlib import Path
from typing import ClassVar, Self

from lamol_core.config.paths import resolve_path
from lamol_core.data.columns import Columns, SourceError, Table


class SourceSpec(Columns):
    """The block `source` of a task.

    Attributes:
        kind: The name of the kind in the registry.
    """

    kind: str
    suffixes: ClassVar[tuple[str, ...]] = ()
    """The suffixes of files that `lamol init` takes for this kind."""

    @abstractmethod
    def read(self, root: Path) -> dict[str, Table]:
        """The cells of each split that the source has. Raises SourceError with every problem."""

    @abstractmethod
    def locations(self, root: Path) -> set[Hashable]:
        """The files, folders or data sets that rows are read from. Two sources with a common
        location can hold the same rows."""

    def overlaps(self, other: SourceSpec, root: Path) -> bool:
        """Whether this source and `other` have a common location."""
        return bool(self.locations(root) & other.locations(root))

    @property
    def local_path(self) -> str | None:
        """The file or folder that is read, as written in params.yaml; None where the source reads
        no local one."""
        return None

    def split_files(self, root: Path) -> dict[str, list[Path]]:
        """The files of each split; {} where the source reads no files. Raises SourceError where no
        training file is found, a shard is missing, or two files are there for one split."""
        return {}

    def unread_files(self, root: Path, suffixes: Collection[str]) -> list[str]:
        """The names of files in the source's folder that are not read though a user may expect it:
        more files of this kind, and splits with one of the `suffixes` of other kinds."""
        return []

    def resolved(self, root: Path) -> Self:
        """A copy of the source with an absolute path, so that two spellings of one path are
        equal."""
        return self

    def location(self, root: Path) -> Path | None:
        """The full path of `local_path`; None where the source reads nothing local."""
        return None if self.local_path is None else resolve_path(self.local_path, root)

    def files(self, root: Path) -> set[Path]:
        """The resolved paths of all files that are read; where they are not found, the path that
        params.yaml gives."""
        location = self.location(root)
        try:
            found = list(chain(*self.split_files(root).values()))
        except SourceError:
            found = [] if location is None else [location]
        return {path.resolve() for path in found}

    def location_problems(self, written: Iterable[Path], root: Path) -> list[str]:
        """A sentence for each folder of `written` that contains the source. A stage replaces these
        folders."""
        location = self.location(root)
        return [
            f"{location} lies in {folder}, which a stage replaces. Move it to another folder."
            for folder in written
            if location is not None and location.resolve().is_relative_to(folder.resolve())
        ]
