"""Declared artefacts on disk: opened, checked and read, with the sentence that mends a fault."""

import shutil
from dataclasses import dataclass, field
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
from lamol_core.artifacts.spec import Artifact, Of, Read, Stage, TableArtifact, remedy
from lamol_core.artifacts.tables import read_rows
from lamol_core.config.task_names import BASE
from lamol_core.errors import ArtifactError


@dataclass
class Inputs:
    """What a stage reads of a sequence, by its declaration, with the hashes of what it read."""

    declared: Stage
    task: str
    """Empty for a stage of the whole sequence."""
    after: str
    """The task before."""
    layout: Layout
    hashes: dict[str, str] = field(default_factory=dict, kw_only=True)
    """Content hashes by the names of the artefacts (`before.pseudo`), for the manifests of what is
    made of them."""

    def path(self, artifact: Artifact, of: Of = "task") -> Path:
        """Where an artefact of the task, of the one before, or of `base` lies."""
        return artifact.at(self.task_of(of), self.layout.root)

    def task_of(self, of: Of) -> str:
        return {"task": self.task or BASE, "before": self.after, "base": BASE}[of]

    def check(self, artifact: Artifact, of: Of = "task") -> Manifest:
        """The manifest of what the stage reads, after both were checked. Raises ArtifactError."""
        read = self._declared(artifact, of)
        return self._record_hash(read, check(self.layout, artifact, self.task_of(of), read.part))

    def manifest_unchecked(self, artifact: Artifact, of: Of = "task") -> Manifest:
        """The manifest alone: the files may have been changed since it was written."""
        manifest = manifest_of(self.layout, artifact, self.task_of(of))
        return self._record_hash(self._declared(artifact, of), manifest)

    def read(self, artifact: TableArtifact, of: Of = "task") -> tuple[pa.Table, Manifest]:
        """The rows of a table that the stage reads, and its manifest. Raises ArtifactError."""
        manifest = self.check(artifact, of)
        return read_as_it_lies(self.layout, artifact, self.task_of(of)), manifest

    def _declared(self, artifact: Artifact, of: Of) -> Read:
        reads = self.declared.reads
        found = [read for read in reads if (read.artifact, read.of) == (artifact, of)]
        assert found, f"{self.declared.name} reads no {artifact.name} of {of}"
        return found[0]

    def _record_hash(self, read: Read, manifest: Manifest) -> Manifest:
        name = "/".join(filter(None, (read.artifact.name, read.part)))
        name = name if read.of == "task" else f"{read.of}.{name}"
        self.hashes[name] = manifest.files.get(read.part, manifest.content_sha256)
        return manifest


def check(layout: Layout, artifact: Artifact, task: str, part: str = "") -> Manifest:
    """The manifest of a task's artefact that is there and unchanged; with `part` that file of it
    alone is looked at. Raises ArtifactError."""
    path, mend = artifact.at(task, layout.root), remedy(artifact, task)
    if artifact.is_table:
        return check_table(path, artifact.kind, mend)
    return check_folder(path, artifact.kind, mend, part)


def read_as_it_lies(layout: Layout, artifact: TableArtifact, task: str) -> pa.Table:
    """A table's rows, changed since it was written or not. Raises ArtifactError where it is missing
    or of another schema."""
    return read_rows(artifact.at(task, layout.root), artifact.schema, remedy(artifact, task))


def manifest_of(layout: Layout, artifact: Artifact, task: str) -> Manifest:
    """What an artefact's manifest says; its files are not looked at. Raises ArtifactError."""
    path = artifact.at(task, layout.root)
    file = table_manifest(path) if artifact.is_table else path / MANIFEST
    return read_manifest(file, remedy(artifact, task))


def require_room(layout: Layout, stage: Stage, after: str) -> None:
    """Raises ArtifactError if the disk has less free space than the large artefacts of this stage
    take for `after`, the task before."""
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
