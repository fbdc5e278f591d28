"""Parquet tables with an explicit schema: written atomically with a manifest, checked when read."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lamol_core.artifacts import manifest as manifests
from lamol_core.artifacts.atomic import atomic_path
from lamol_core.artifacts.spec import TableArtifact
from lamol_core.errors import ArtifactError
from lamol_core.records import OF_TURNS, earlier_turns, to_columns, with_turns


def write_rows(path: Path | BinaryIO, records: Sequence[object], schema: pa.Schema) -> None:
    """Write records as Parquet, with columns of turns where a record has some. This is not atomic,
    so `path` should lie in a scratch folder."""
    used = {name for name in OF_TURNS.names for one in records if getattr(one, name, None)}
    schema = with_turns(schema, used)
    table = pa.table(to_columns(records, schema), schema=schema)
    pq.write_table(table, path, compression="zstd")


def size_of(records: Sequence[object], schema: pa.Schema) -> int:
    """The size in bytes of a Parquet file with these records; 0 without records."""
    if not records:
        return 0
    buffer = io.BytesIO()
    write_rows(buffer, records, schema)
    return buffer.tell()


def write_table(
    path: Path,
    artifact: TableArtifact,
    records: Sequence[object],
    provenance: manifests.Provenance = manifests.NOTHING_KNOWN,
) -> manifests.Manifest:
    """Write a table that is one file, then the manifest beside it; returns the manifest."""
    with atomic_path(path) as scratch:
        write_rows(scratch, records, artifact.schema)
    counts, files = {path.stem: len(records)}, {path.name: path}
    with atomic_path(manifests.table_manifest(path)) as scratch:
        return manifests.write_manifest(scratch, artifact.kind, files, counts, provenance)


def read_rows(path: Path, schema: pa.Schema, remedy: str) -> pa.Table:
    """The rows of a Parquet file, in the columns of `schema` and those of turns that it has. Raises
    ArtifactError, whose message ends with `remedy`, where the file is missing, unreadable or of
    another schema."""
    if not path.is_file():
        raise ArtifactError(f"{path}: missing. {remedy}")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ArtifactError(f"{path}: not readable as Parquet ({error}). {remedy}") from error
    if missing := [name for name in schema.names if name not in table.column_names]:
        raise ArtifactError(f"{path}: no column {', '.join(map(repr, missing))}. {remedy}")
    schema = with_turns(schema, table.column_names)
    try:
        table = table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ArtifactError(f"{path}: a column has the wrong type ({error}). {remedy}") from error
    try:
        _check_turns(table)
    except ValueError as error:
        raise ArtifactError(f"{path}: a cell of column 'history' {error}. {remedy}") from error
    return table


def _check_turns(table: pa.Table) -> None:
    """Raise ValueError where a cell of the columns OF_TURNS is broken."""
    turns, ids = ([], [])
    if "history" in table.column_names:
        turns = [earlier_turns(history) for history in table["history"].to_pylist()]
    if "history_ids" in table.column_names:
        ids = table["history_ids"].to_pylist()
    for of_row, ids_of_row in zip(turns, ids, strict=False):
        if not isinstance(ids_of_row, list) or None in ids_of_row or len(ids_of_row) % 2:
            raise ValueError("has no ids of its texts in column 'history_ids'")
        if of_row and len(ids_of_row) != 2 * len(of_row):
            raise ValueError("has other turns than column 'history_ids'")
