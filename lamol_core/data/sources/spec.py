"""What a kind of source declares. A new one is a file with a subclass, and a line in the registry.

`root` is always the folder of params.yaml, which relative paths start from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Hashable, Iterable
from pathlib import Path
from typing import ClassVar, Self

from lamol_core.config.paths import resolve_path
from lamol_core.data.columns import Columns, SourceError, Table


class SourceSpec(Columns):
    """The block `source` of a task."""

    kind: str
    suffix: ClassVar[str | None] = None
    """How the names of its files end, if `lamol init` may take them for this kind."""

    @abstractmethod
    def read(self, root: Path) -> dict[str, Table]:
        """The cells of each split that the source has. Raises SourceError with every problem."""

    @abstractmethod
    def locations(self, root: Path) -> set[Hashable]:
        """Where rows are read from. Sources with a location in common can hold the same rows."""

    def overlaps(self, other: SourceSpec, root: Path) -> bool:
        """Whether both have a location in common."""
        return bool(self.locations(root) & other.locations(root))

    @property
    def local_path(self) -> str | None:
        """The file or folder that is read, as params.yaml has it; None where it is neither."""
        return None

    def split_files(self, root: Path) -> dict[str, Path]:
        """The file of each split; {} where rows are read from no file. Raises SourceError where
        there is no training file, or two for one split."""
        return {}

    def unread_files(self, root: Path, suffixes: Collection[str]) -> list[str]:
        """Names of files beside its own that could be meant to be read and are not: others of its
        kind, and splits with the suffix of another kind."""
        return []

    def resolved(self, root: Path) -> Self:
        """The same with its whole path: one file may be named in several ways."""
        return self

    def location(self, root: Path) -> Path | None:
        """Where `local_path` lies."""
        return None if self.local_path is None else resolve_path(self.local_path, root)

    def files(self, root: Path) -> set[Path]:
        """Every file that is read, links resolved; of a missing one, where it should be."""
        location = self.location(root)
        try:
            found = list(self.split_files(root).values())
        except SourceError:
            found = [] if location is None else [location]
        return {path.resolve() for path in found}

    def location_problems(self, written: Iterable[Path], root: Path) -> list[str]:
        """A sentence for each folder that a stage writes anew and that the source lies in."""
        location = self.location(root)
        return [
            f"{location} lies in {folder}, which a stage writes anew. Move it to another folder."
            for folder in written
            if location is not None and location.resolve().is_relative_to(folder.resolve())
        ]
