"""Tab-separated values."""

import re
from pathlib import Path
from typing import Literal

from lamol_core.data.sources.delimited import DelimitedFiles, Record


class TsvSource(DelimitedFiles):
    """Tab-separated values."""

    kind: Literal["tsv"]
    suffixes = (".tsv",)
    separator = "\t"

    def records(self, path: Path, text: str) -> list[Record]:
        """One record for each line, if all lines have the same number of fields. A quotation mark
        is plain text then, and only quotes around a whole field are removed.

        Otherwise records are split as in the base class."""
        lines = re.split("\r\n|\r|\n", text)
        records = [
            (number, [_unquoted(field) for field in line.split(self.separator)])
            for number, line in enumerate(lines, start=1)
            if line
        ]
        is_even = len({len(fields) for _, fields in records}) <= 1
        return records if is_even else super().records(path, text)


def _unquoted(field: str) -> str:
    whole = re.fullmatch(r'"((?:[^"]|"")*)"', field)
    return whole[1].replace('""', '"') if whole else field
