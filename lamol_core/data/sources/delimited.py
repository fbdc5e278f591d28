"""The base class of text files with a separator between fields (CSV, TSV)."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from lamol_core.data.columns import SourceError, Table, counted
from lamol_core.data.sources.local_files import LocalFiles, broken_lines, read_text

Record = tuple[int, list[str]]
"""The number of a record's first line, and its fields."""
MARKS = ",\t;"
"""The separators that a hint can name."""


class DelimitedFiles(LocalFiles):
    """A text file with `separator` between fields. Its first line names the columns.

    As spreadsheets save them: lines without text are skipped, and columns without a name may be
    missing at the end of a line."""

    separator: ClassVar[str]

    def read_file(self, path: Path) -> Table:
        records = [record for record in self.records(path, read_text(path)) if any(record[1])]
        if not records:
            raise SourceError([f"{path}: empty; its first line must name the columns."])
        (first, header), *body = records
        named = list(filter(None, header))
        if doubled := sorted({name for name in named if named.count(name) > 1}):
            problem = f"line {first} names the column {doubled[0]!r} more than once."
            raise SourceError([f"{path}: {problem}"])
        least = header.index(named[-1]) + 1
        broken = [
            (number, f"has {counted(len(record), 'field')} where line {first} has {len(header)}")
            for number, record in body
            if len(record) < least or any(record[len(header) :])
        ]
        if broken:
            raise broken_lines(path, broken)
        rows = [(number, dict(zip(header, record, strict=False))) for number, record in body]
        return Table(str(path), "line", named, rows, text_only=True, hint=self._hint(named))

    def records(self, path: Path, text: str) -> list[Record]:
        """Split the text of a file into records. Fields in quotes may hold separators and line
        ends. Raises SourceError for a misplaced quotation mark."""
        csv.field_size_limit(2**31 - 1)  # no limit here: training cuts long fields
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.separator, strict=True)
        records: list[Record] = []
        start = 1
        try:
            for record in reader:
                if record:
                    records.append((start, record))
                start = reader.line_num + 1
        except csv.Error as error:
            raise broken_lines(path, [(start, f"is broken ({error})")]) from error
        return records

    def _hint(self, header: Sequence[str]) -> str:
        """A hint where the first line is a single column but contains another separator; ""
        elsewhere."""
        found = max(MARKS, key=header[0].count)
        if len(header) > 1 or found == self.separator or found not in header[0]:
            return ""
        return (
            f"its first line is {header[0]!r}, in which {found!r} seems to separate fields. "
            f"Give the matching `kind`, or save the file with {self.separator!r} between fields."
        )
