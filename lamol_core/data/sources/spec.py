"""What a source's block may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lamol_core.config.section import Section


class Columns(Section):
    """How rows of a source become pairs: column names or templates, and which rows count."""

    input: str = "input"
    target: str = "target"
    where: dict[str, str | int | float | bool | list[str | int | float | bool]] = {}
    max_targets: Annotated[int, Field(ge=1)] | None = None
    limit_per_target: Annotated[int, Field(ge=1)] | None = None
    limit_train: Annotated[int, Field(ge=1)] | None = None
    limit_test: Annotated[int, Field(ge=1)] | None = None


class DemoSource(Columns):
    """One task of the bundled corpus."""

    kind: Literal["demo"]
    task: str


class FileSource(Columns):
    """One file (its dev and test splits are cut off), or a folder with train.*, dev.*, test.*."""

    kind: Literal["jsonl", "csv", "tsv", "parquet"]
    path: str


class HubSource(Columns):
    """A data set of the hub, by `datasets.load_dataset`; splits it lacks are null."""

    kind: Literal["hub"]
    path: str
    name: str | None = None
    revision: str | None = None
    train: str = "train"
    dev: str | None = None
    test: str | None = None


Source = Annotated[DemoSource | FileSource | HubSource, Field(discriminator="kind")]
