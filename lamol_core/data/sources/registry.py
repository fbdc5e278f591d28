"""Every kind of source, by its name in params.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import Field, TypeAdapter

from lamol_core.data.columns import (
    RawRow,
    collect,
    keep_targets,
    limit_rows,
    parse_templates,
    to_rows,
)
from lamol_core.data.sources.csv import CsvSource
from lamol_core.data.sources.demo import DemoSource
from lamol_core.data.sources.hub import HubSource
from lamol_core.data.sources.jsonl import JsonlSource
from lamol_core.data.sources.parquet import ParquetSource
from lamol_core.data.sources.spec import SourceSpec
from lamol_core.data.sources.tsv import TsvSource

SOURCES: dict[str, type[SourceSpec]] = {
    get_args(source.model_fields["kind"].annotation)[0]: source
    for source in (DemoSource, JsonlSource, CsvSource, TsvSource, ParquetSource, HubSource)
}
SUFFIXES = {source.suffix: kind for kind, source in SOURCES.items() if source.suffix is not None}
"""The kind of a file, by how its name ends."""

if TYPE_CHECKING:
    Source = SourceSpec
else:
    Source = Annotated[reduce(or_, SOURCES.values()), Field(discriminator="kind")]


def parse_source(block: object) -> Source:
    """A source from its block of params.yaml. Raises ValidationError where that is wrong."""
    union: Any = Source
    return TypeAdapter(union).validate_python(block)


def read_source(source: Source, root: Path) -> dict[str, list[RawRow]]:
    """The pairs of each split that the source has, in its order; "train" is always there.

    Limits do not act yet: they are of the splits as they are learnt and scored, some of which may
    have to be cut off first. `root` is the folder of params.yaml, which relative paths start from.
    Raises SourceError (a ConfigError) with every problem: file, line or row, column, remedy."""
    parse_templates(source)  # before files are looked for
    rows = collect(source.read(root), lambda _, table: to_rows(table, source))
    return keep_targets(rows, source)


def read_texts(sources: Sequence[Source], root: Path) -> list[str]:
    """Every input and target of the training rows, for a tokenizer to be trained on."""
    return [
        text
        for source in sources
        for row in limit_rows(read_source(source, root), source)["train"]
        for text in (row.input, row.target)
    ]
