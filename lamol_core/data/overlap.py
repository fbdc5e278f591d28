"""Whether two sources can hold the same rows, judged by their paths and filters. No row is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamol_core.data.columns import as_list
from lamol_core.data.sources.spec import SourceSpec


def may_share_rows(one: SourceSpec, other: SourceSpec, root: Path) -> bool:
    """Whether both sources read the same file or data set, and no `where` keeps their rows apart.

    `root` is the folder of params.yaml. A copy of a file under another path is not recognised.
    Limits and column names are ignored."""
    return one.overlaps(other, root) and not _are_apart(one.where, other.where)


def _are_apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the filters exclude each other: some column has no value that satisfies both."""
    return any(
        not any(_may_be_one(a, b) for a in as_list(one[column]) for b in as_list(other[column]))
        for column in one.keys() & other.keys()
    )


def _may_be_one(a: Any, b: Any) -> bool:
    """Whether one cell can satisfy both `a` and `b`, as text (CSV and TSV) or as a value. Booleans
    are compared as text without case."""
    if isinstance(a, bool) or isinstance(b, bool):
        return str(a).casefold() == str(b).casefold()
    return str(a) == str(b) or a == b
