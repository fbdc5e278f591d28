"""Data sets of the Hugging Face hub, and local ones in the hub's layout."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Literal

from lamol_core.config.hub import data_set_problem
from lamol_core.config.paths import pointer_problem, resolve_path
from lamol_core.data.columns import SourceError, Table
from lamol_core.data.conversations import columns_to_read
from lamol_core.data.sources.spec import SourceSpec
from lamol_core.errors import first_line


class HubSource(SourceSpec):
    """A data set that `datasets.load_dataset` reads, on the hub or in a local folder.

    Attributes:
        path: The id on the hub, or a local folder.
        name: The configuration of the data set.
        revision: The revision on the hub.
        train: Its name for the training split.
        dev: Its name for the dev split. `null`: it has none.
        test: Its name for the test split. `null`: it has none.
    """

    kind: Literal["hub"]
    path: str
    name: str | None = None
    revision: str | None = None
    train: str = "train"
    dev: str | None = None
    test: str | None = None

    def read(self, root: Path) -> dict[str, Table]:
        if not resolve_path(self.path, root).exists() and (problem := data_set_problem(self.path)):
            raise SourceError([f"data set {problem}"])
        return {split: self._read_split(root, name) for split, name in self._names.items()}

    @property
    def _names(self) -> dict[str, str]:
        """The data set's own name for each split that it has."""
        named = {"train": self.train, "dev": self.dev, "test": self.test}
        return {split: name for split, name in named.items() if name is not None}

    def _read_split(self, root: Path, split: str) -> Table:
        # here, not above: importing it takes a second, and the other kinds don't need it
        from datasets import ClassLabel, load_dataset

        local = resolve_path(self.path, root)
        path = str(local) if local.exists() else self.path
        where = f"data set {path}, {split}"
        try:
            # streamed, because load_dataset would leave a copy of the rows in the cache of the home
            data = load_dataset(
                path, self.name, revision=self.revision, split=split, streaming=True
            )
            features = data.features or {}
            there = columns_to_read(features, self)
            rows: list[dict[str, object]] = list(data.select_columns(there) if there else data)
        except Exception as error:  # the library's many dependencies raise what they like
            pointers = map(pointer_problem, filter(Path.is_file, local.rglob("*")))
            problem = f"{where}: {first_line(error)}. {_advice(error)}"
            raise SourceError([next(filter(None, pointers), problem)]) from error
        for name in there:
            if isinstance(feature := features[name], ClassLabel):
                for row in rows:
                    row[name] = _label_name(feature.names, row[name])
        columns = list(features) or list(dict.fromkeys(name for row in rows for name in row))
        return Table(where, "row", columns, list(enumerate(rows, start=1)))

    def overlaps(self, other: SourceSpec, root: Path) -> bool:
        if isinstance(other, HubSource):
            return bool(self._splits(root) & other._splits(root))
        return super().overlaps(other, root)

    def _splits(self, root: Path) -> set[tuple[str, str, str]]:
        """The path, configuration and name of each split that is read."""
        local = resolve_path(self.path, root)
        path = str(local.resolve()) if local.exists() else self.path
        return {(path, self.name or "default", name) for name in self._names.values()}

    def locations(self, root: Path) -> set[Hashable]:
        """The data set's local files and folders; empty for a data set on the hub."""
        path = resolve_path(self.path, root)
        return {each.resolve() for each in (path, *path.rglob("*"))} if path.exists() else set()


def _label_name(names: Sequence[str], index: object) -> str | None:
    # -1 is how the hub marks a row without a label
    return names[index] if isinstance(index, int) and 0 <= index < len(names) else None


def _advice(error: Exception) -> str:
    from datasets.exceptions import DatasetNotFoundError

    if isinstance(error, DatasetNotFoundError):
        return "Check `path`; a private or gated data set needs `hf auth login` first."
    if isinstance(error, ValueError):
        return "Check `path`, `name`, `revision` and the names of the splits."
    return (
        "Check the network and try again, or fetch the data set once elsewhere, save it as a "
        "Parquet file and read that."
    )
