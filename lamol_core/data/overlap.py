"""Whether two sources can hold the same rows, going by where they read, not by what is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamol_core.config import DemoSource, FileSource, HubSource, Source
from lamol_core.data.columns import SourceError
from lamol_core.data.sources import find_files
from lamol_core.params_file import resolve_path


def may_share_rows(one: Source, other: Source, root: Path) -> bool:
    """Whether both read one file or data set, and no column's `where` keeps them apart.

    `root` is the folder of params.yaml. A copy of a file under another path is not known for one;
    limits and the columns that are read make no difference, since they choose among rows."""
    return bool(_places(one, root) & _places(other, root)) and not _are_apart(
        one.where, other.where
    )


def files_of(source: FileSource, root: Path) -> set[Path]:
    """Every file that a source is read from, links resolved; of one that is gone, its place."""
    try:
        found = list(find_files(source, root).values())
    except SourceError:
        found = [resolve_path(source.path, root)]
    return {path.resolve() for path in found}


def _places(source: Source, root: Path) -> set[object]:
    if isinstance(source, FileSource):
        return {*files_of(source, root), resolve_path(source.path, root).resolve()}
    if isinstance(source, HubSource):
        local = resolve_path(source.path, root)
        path = str(local.resolve()) if local.exists() else source.path
        return {(path, source.name, split) for split in (source.train, source.dev, source.test)
                if split is not None}  # fmt: skip
    assert isinstance(source, DemoSource)
    return {("demo", source.task)}


def _are_apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether some column can't have a value that both accept."""
    return any(
        not _accepted(one[column]) & _accepted(other[column])
        for column in one.keys() & other.keys()
    )


def _accepted(value: Any) -> set[float | str]:
    """Numbers as numbers, however they are written."""
    accepted: set[float | str] = set()
    for each in value if isinstance(value, list) else [value]:
        try:
            accepted.add(float(each))
        except ValueError:
            accepted.add(each)
    return accepted
