"""Parquet tables: only the columns that are needed are read."""

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from lamol_core.data.columns import SourceError, Table
from lamol_core.data.conversations import columns_to_read
from lamol_core.data.sources.local_files import LocalFiles
from lamol_core.errors import first_line


class ParquetSource(LocalFiles):
    """Parquet tables."""

    kind: Literal["parquet"]
    suffixes = (".parquet",)

    def read_file(self, path: Path) -> Table:
        try:
            file = pq.ParquetFile(path)
            columns = file.schema_arrow.names
            needed = columns_to_read(columns, self)
            if twice := [name for name in needed if columns.count(name) > 1]:
                raise SourceError([f"{path}: two columns are named {twice[0]!r}. Rename one."])
            rows = file.read(columns=needed).to_pylist()
        except (pa.ArrowException, UnicodeDecodeError, OverflowError) as error:
            problem = f"{path}: not readable as Parquet ({first_line(error)})."
            raise SourceError([problem]) from error
        return Table(str(path), "row", columns, list(enumerate(rows, start=1)))
