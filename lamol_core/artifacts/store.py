"""Declared artefacts on disk: opened, checked and read, with the sentence that mends a fault."""

import shutil
from pathlib import Path

import pyarrow as pa

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import (
    MANIFEST,
    Manifest,
    check_folder,
    check_table,
    read_manifest,
    table_manifest,
)
from lamol_core.artifacts.spec import Artifact, Stage, remedy
from lamol_core.artifacts.tables import read_rows
from lamol_core.errors import ArtifactError


def check(layout: Layout, artifact: Artifact, task: str) -> Manifest:
    """The manifest of a task's artefact that is there and unchanged. Raises ArtifactError."""
    path, mend = artifact.at(task, layout.root), remedy(artifact, task)
    if artifact.is_table:
        return check_table(path, artifact.kind, mend)
    return check_folder(path, artifact.kind, mend)


def read(layout: Layout, artifact: Artifact, task: str) -> tuple[pa.Table, Manifest]:
    """A table's rows and manifest, after both were checked. Raises ArtifactError."""
    manifest = check(layout, artifact, task)
    return read_as_it_lies(layout, artifact, task), manifest


def read_as_it_lies(layout: Layout, artifact: Artifact, task: str) -> pa.Table:
    """A table's rows, changed since it was written or not. Raises ArtifactError where it is missing
    or of another schema."""
    assert artifact.schema is not None, f"{artifact.name} is no table"
    return read_rows(artifact.at(task, layout.root), artifact.schema, remedy(artifact, task))


def manifest_of(layout: Layout, artifact: Artifact, task: str) -> Manifest:
    """What an artefact's manifest says; its files are not looked at. Raises ArtifactError."""
    path = artifact.at(task, layout.root)
    place = table_manifest(path) if artifact.is_table else path / MANIFEST
    return read_manifest(place, remedy(artifact, task))


def require_room(layout: Layout, stage: Stage, after: str) -> None:
    """Raises ArtifactError where the disk has not as much room as what the stage writes is likely
    to need: as much as the same artefacts of the task before."""
    before = [artifact.at(after, layout.root) for artifact in stage.writes if artifact.large]
    needed = sum(bytes_below(folder) for folder in before)
    free = shutil.disk_usage(layout.root.resolve()).free
    if needed > free:
        raise ArtifactError(
            f"{layout.all_runs}: {stage.name} needs about {needed / 1e6:.0f} MB, the disk has "
            f"{free / 1e6:.0f} MB left. Make room, then run the same command again."
        )


def bytes_below(folder: Path) -> int:
    """What the files of a folder take; 0 where there is none."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
