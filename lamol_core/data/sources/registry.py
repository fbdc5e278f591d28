"""Every kind of source, by its name in params.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

from pydantic import Field, TypeAdapter

from lamol_core.data import columns
from lamol_core.data.conversations import rows_of
from lamol_core.data.sources.csv import CsvSource
from lamol_core.data.sources.demo import DemoSource
from lamol_core.data.sources.hub import HubSource
from lamol_core.data.sources.jsonl import JsonlSource
from lamol_core.data.sources.parquet import ParquetSource
from lamol_core.data.sources.spec import SourceSpec
from lamol_core.data.sources.tsv import TsvSource
from lamol_core.records import all_texts

SOURCES: dict[str, type[SourceSpec]] = {
    get_args(source.model_fields["kind"].annotation)[0]: source
    for source in (DemoSource, JsonlSource, CsvSource, TsvSource, ParquetSource, HubSource)
}
SUFFIXES = {suffix: kind for kind, source in SOURCES.items() for suffix in source.suffixes}
"""The kind of source that reads files with a suffix."""

if TYPE_CHECKING:
    Source = SourceSpec
else:
    Source = Annotated[reduce(or_, SOURCES.values()), Field(discriminator="kind")]


def parse_source(block: object) -> Source:
    """Make a source of its block of params.yaml. Raises ValidationError where the block is
    wrong."""
    return TypeAdapter[SourceSpec](Source).validate_python(block)


def read_source(source: Source, root: Path) -> dict[str, list[columns.RawRow]]:
    """The (input, target) pairs of each split that the source has, in its order. "train" is always
    there.

    Limits are not applied here: missing splits must be cut off the training rows before that.
    Relative paths start from `root`, the folder of params.yaml. Raises SourceError (a ConfigError)
    with every problem: file, line or row, column, remedy."""
    columns.parse_templates(source)  # before files are looked for
    rows = columns.collect(source.read(root), lambda _, table: rows_of(table, source))
    systems = {split: part[0].system for split, part in rows.items()}
    if others := [split for split in systems if systems[split] != systems["train"]]:
        raise columns.SourceError(
            f"the {split} split has another system message than train. Make them equal."
            for split in others
        )
    return columns.keep_targets(rows, source)


def read_texts(sources: Sequence[Source], root: Path) -> list[str]:
    """All texts of all training rows of these sources, for training a tokenizer.
    Limits are applied. Raises SourceError as `read_source` does."""
    return [
        text
        for source in sources
        for row in columns.limit_rows(read_source(source, root), source)["train"]
        for text in all_texts(row)
    ]
