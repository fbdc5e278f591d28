"""Comma-separated values; a field may stand in quotes."""

from typing import Literal

from lamol_core.data.sources.delimited import DelimitedFiles


class CsvSource(DelimitedFiles):
    """Comma-separated values."""

    kind: Literal["csv"]
    suffixes = (".csv",)
    separator = ","
