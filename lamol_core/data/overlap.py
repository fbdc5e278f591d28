"""Whether two sources can hold the same rows, going by where they read, not by what is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamol_core.config.paths import resolve_path
from lamol_core.data.columns import SourceError
from lamol_core.data.sources.reading import find_files
from lamol_core.data.sources.spec import DemoSource, FileSource, HubSource, Source


def may_share_rows(one: Source, other: Source, root: Path) -> bool:
    """Whether both read one file or data set, and no column's `where` keeps them apart.

    `root` is the folder of params.yaml. A copy of a file under another path is not known for one;
    limits and the columns that are read make no difference, since they choose among rows."""
    return _read_one_place(one, other, root) and not _are_apart(one.where, other.where)


def files_of(source: FileSource, root: Path) -> set[Path]:
    """Every file that a source is read from, links resolved; of one that is gone, its place."""
    try:
        found = list(find_files(source, root).values())
    except SourceError:
        found = [resolve_path(source.path, root)]
    return {path.resolve() for path in found}


def _read_one_place(one: Source, other: Source, root: Path) -> bool:
    if isinstance(one, DemoSource) or isinstance(other, DemoSource):
        return getattr(one, "task", None) == getattr(other, "task", None)
    if isinstance(one, HubSource) and isinstance(other, HubSource):
        return bool(_splits(one, root) & _splits(other, root))
    return bool(_places(one, root) & _places(other, root))


def _splits(source: HubSource, root: Path) -> set[tuple[str, str, str]]:
    """Data set, configuration and split, as the library would load them."""
    local = resolve_path(source.path, root)
    path = str(local.resolve()) if local.exists() else source.path
    names = (source.train, source.dev, source.test)
    return {(path, source.name or "default", name) for name in names if name is not None}


def _places(source: FileSource | HubSource, root: Path) -> set[Path]:
    """Files and folders here; of a data set that is not here, none."""
    path = resolve_path(source.path, root)
    if isinstance(source, FileSource):
        return {*files_of(source, root), path.resolve()}
    return {each.resolve() for each in (path, *path.rglob("*"))} if path.exists() else set()


def _are_apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether some column can't have a value that both accept."""
    return any(
        not any(_may_be_one(a, b) for a in _listed(one[column]) for b in _listed(other[column]))
        for column in one.keys() & other.keys()
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _may_be_one(a: Any, b: Any) -> bool:
    """Whether one cell can be what both ask for: as text (CSV and TSV, where case makes no
    difference to true and false), or as a value of its own type."""
    if isinstance(a, bool) or isinstance(b, bool):
        return str(a).casefold() == str(b).casefold()
    return str(a) == str(b) or a == b
