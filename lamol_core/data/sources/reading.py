"""Where rows come from: one reader a kind. A new kind is a function and a line in SOURCES."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lamol_core.config.paths import resolve_path, say_missing
from lamol_core.data.columns import (
    RawRow,
    SourceError,
    Table,
    collect,
    keep_targets,
    limit_rows,
    needed_columns,
    to_rows,
)
from lamol_core.data.sources.demo import demo_rows
from lamol_core.data.sources.formats import FORMATS, FileReader
from lamol_core.data.sources.spec import DemoSource, FileSource, HubSource, Source
from lamol_core.errors import ConfigError, first_line
from lamol_core.records import SPLITS

Reader = Callable[[Any, Path], dict[str, Table]]
"""From a source and the folder of params.yaml to the cells of the splits that it has."""
_FILE_NAMES = {"train": ("train",), "dev": ("dev", "validation"), "test": ("test",)}
_OTHER_NAMES = {"dev": ("valid", "val")}
"""What counts where none of the names above is there."""


def read_source(source: Source, root: Path) -> dict[str, list[RawRow]]:
    """The pairs of each split that the source has, in its order; "train" is always there.

    Limits do not act yet: they are of the splits as they are learnt and scored, some of which may
    have to be cut off first. `root` is the folder of params.yaml, which relative paths start from.
    Raises SourceError (a ConfigError) with every problem: file, line or row, column, remedy."""
    tables = SOURCES[source.kind](source, root)
    rows = collect(tables, lambda _, table: to_rows(table, source))
    return keep_targets(rows, source)


def read_texts(sources: Sequence[Source], root: Path) -> list[str]:
    """Every input and target of the training rows, for a tokenizer to be trained on."""
    return [
        text
        for source in sources
        for row in limit_rows(read_source(source, root), source)["train"]
        for text in (row.input, row.target)
    ]


def _read_demo(source: DemoSource, root: Path) -> dict[str, Table]:
    tables = {}
    for split in SPLITS:
        try:
            rows = demo_rows(source.task, split)
        except ConfigError as error:
            raise SourceError([str(error)]) from error
        where = f"demo task {source.task!r}, {split}"
        tables[split] = Table(where, "row", ["input", "target"], list(enumerate(rows, start=1)))
    return tables


def _read_files(reader: FileReader, source: FileSource, root: Path) -> dict[str, Table]:
    needed = needed_columns(source)
    return collect(find_files(source, root), lambda _, path: _open(reader, path, needed))


def _open(reader: FileReader, path: Path, needed: Sequence[str]) -> Table:
    try:
        return reader(path, needed)
    except OSError as error:
        raise SourceError([f"{path}: cannot be read ({error.strerror or error})."]) from error


def find_files(source: FileSource, root: Path) -> dict[str, Path]:
    """The file of each split that a file or folder holds. Raises SourceError where there is no
    training file, or two for one split."""
    path = resolve_path(source.path, root)
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:  # a name that is too long
        raise SourceError([f"{path}: cannot be read ({error.strerror or error})."]) from error
    if is_file:
        return {"train": path}
    if not is_folder:
        raise SourceError([say_missing(path, source.path, root)])
    found: dict[str, Path] = {}
    problems = []
    for split, names in _FILE_NAMES.items():
        there = _existing(path, names, source.kind)
        there = there or _existing(path, _OTHER_NAMES.get(split, ()), source.kind)
        if len(there) > 1:
            both = " and ".join(file.name for file in there)
            problems.append(f"{path}: holds {both}; only one can be the {split} split.")
        if there:
            found[split] = there[0]
    if "train" not in found:
        names_there = sorted(entry.name for entry in path.iterdir())
        listed = ", ".join(names_there[:8]) + (" ..." if len(names_there) > 8 else "")
        problems.append(
            f"{path}: no file train.{source.kind} in this folder, which holds: "
            f"{listed or 'nothing'}. Name the training file so, or give `path` the file itself."
        )
    if problems:
        raise SourceError(problems)
    return found


def _existing(folder: Path, names: Sequence[str], kind: str) -> list[Path]:
    return [path for name in names if (path := folder / f"{name}.{kind}").is_file()]


def unread_files(source: Source, root: Path) -> list[str]:
    """Names of files in a source's folder that could be meant to be read and are not: others of
    its kind, and splits of another kind."""
    if not isinstance(source, FileSource):
        return []
    path = resolve_path(source.path, root)
    if not path.is_dir():
        return []
    read = set(find_files(source, root).values())
    splits = {name for names in (*_FILE_NAMES.values(), *_OTHER_NAMES.values()) for name in names}
    return sorted(
        file.name
        for file in path.glob("[!.]*.*")
        if file not in read and file.is_file()
        if file.suffix == f".{source.kind}" or (file.stem in splits and file.suffix[1:] in FORMATS)
    )


def _read_hub(source: HubSource, root: Path) -> dict[str, Table]:
    wanted = {"train": source.train, "dev": source.dev, "test": source.test}
    needed = needed_columns(source)
    return {
        split: _read_hub_split(source, root, name, needed)
        for split, name in wanted.items()
        if name is not None
    }


def _read_hub_split(source: HubSource, root: Path, split: str, needed: Sequence[str]) -> Table:
    from datasets import ClassLabel, load_dataset

    local = resolve_path(source.path, root)
    path = str(local) if local.exists() else source.path
    where = f"data set {path}, {split}"
    try:
        # streamed, because load_dataset would leave a copy of the rows in the cache of the home
        data = load_dataset(
            path, source.name, revision=source.revision, split=split, streaming=True
        )
        features = data.features or {}
        there = [name for name in needed if name in features]
        rows: list[dict[str, object]] = list(data.select_columns(there) if there else data)
    except Exception as error:  # the library's many dependencies raise what they like
        raise SourceError([f"{where}: {first_line(error)}. {_hub_advice(error)}"]) from error
    for name in there:
        if isinstance(feature := features[name], ClassLabel):
            for row in rows:
                row[name] = _label_name(feature.names, row[name])
    columns = list(features) or list(dict.fromkeys(name for row in rows for name in row))
    return Table(where, "row", columns, list(enumerate(rows, start=1)))


def _label_name(names: Sequence[str], index: object) -> str | None:
    # -1 is how the hub marks a row without a label
    return names[index] if isinstance(index, int) and 0 <= index < len(names) else None


def _hub_advice(error: Exception) -> str:
    from datasets.exceptions import DatasetNotFoundError

    if isinstance(error, DatasetNotFoundError):
        return "Check `path`; a private or gated data set needs `hf auth login` first."
    if isinstance(error, ValueError):
        return "Check `path`, `name`, `revision` and the names of the splits."
    return (
        "Check the network and try again, or fetch the data set once elsewhere, save it as "
        "Parquet and read that with `kind: parquet`."
    )


SOURCES: dict[str, Reader] = {
    "demo": _read_demo,
    **{name: partial(_read_files, reader) for name, reader in FORMATS.items()},
    "hub": _read_hub,
}
