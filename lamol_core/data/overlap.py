"""Whether two sources can hold the same rows, going by where they read, not by what is there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamol_core.data.columns import as_list
from lamol_core.data.sources.spec import SourceSpec


def may_share_rows(one: SourceSpec, other: SourceSpec, root: Path) -> bool:
    """Whether both read one file or data set, and no column's `where` keeps them apart.

    `root` is the folder of params.yaml. A copy of a file under another path is not known for one;
    limits and the columns that are read make no difference, since they choose among rows."""
    return one.overlaps(other, root) and not _are_apart(one.where, other.where)


def _are_apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether some column can't have a value that both accept."""
    return any(
        not any(_may_be_one(a, b) for a in as_list(one[column]) for b in as_list(other[column]))
        for column in one.keys() & other.keys()
    )


def _may_be_one(a: Any, b: Any) -> bool:
    """Whether one cell can satisfy both `where` values: they are equal as text or as typed values.
    If one is a bool, they are compared as text without case."""
    if isinstance(a, bool) or isinstance(b, bool):
        return str(a).casefold() == str(b).casefold()
    return str(a) == str(b) or a == b
