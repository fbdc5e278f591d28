"""Open, check and read declared artefacts. Errors name the command that makes an artefact again."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from lamol_core.artifacts import manifest as manifests
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import STUDENT, Artifact, Of, Read, Stage, TableArtifact, remedy
from lamol_core.artifacts.tables import read_rows
from lamol_core.config.task_names import BASE
from lamol_core.errors import ArtifactError

BACKBONE_SHA256 = "backbone_sha256"
"""The parameter in the manifest of an adapter's checkpoint that is its backbone's content hash."""


@dataclass
class Inputs:
    """The inputs that a stage declares, for one task. Hashes are collected of every artefact that
    is read."""

    declared: Stage
    task: str
    """The stage's task; empty for a stage of the whole sequence."""
    after: str
    """The task learnt before `task`."""
    layout: Layout
    hashes: dict[str, str] = field(default_factory=dict, kw_only=True)
    """The content hash of each input read so far, by `Read.key`. The manifests of the outputs list
    them."""

    def path(self, artifact: Artifact, of: Of = "task") -> Path:
        """The path of an artefact. `of`: whether it is the task's own, that of the task before, or
        of `base`."""
        return artifact.at(self.task_of(of), self.layout.root)

    def task_of(self, of: Of) -> str:
        return {"task": self.task or BASE, "before": self.after, "base": BASE}[of]

    def check(self, artifact: Artifact, of: Of = "task") -> manifests.Manifest:
        """Check an input against its manifest; returns the manifest. Raises ArtifactError where the
        input is missing or was changed."""
        read = self._declared(artifact, of)
        return self._record_hash(read, check(self.layout, artifact, self.task_of(of), read.part))

    def manifest_unchecked(self, artifact: Artifact, of: Of = "task") -> manifests.Manifest:
        """The manifest of an input whose files are not checked: they may have changed. Raises
        ArtifactError where the manifest is missing or broken."""
        path, mend = self.path(artifact, of), remedy(artifact, self.task_of(of))
        file = manifests.table_manifest(path) if artifact.is_table else path / manifests.MANIFEST
        manifest = manifests.read_manifest(file, mend)
        return self._record_hash(self._declared(artifact, of), manifest)

    def read(self, artifact: TableArtifact, of: Of = "task") -> tuple[pa.Table, manifests.Manifest]:
        """Check and read an input table; returns its rows and its manifest. Raises ArtifactError
        where it is missing or was changed."""
        manifest = self.check(artifact, of)
        return read_as_it_lies(self.layout, artifact, self.task_of(of)), manifest

    def _declared(self, artifact: Artifact, of: Of) -> Read:
        reads = self.declared.reads
        found = [read for read in reads if (read.artifact, read.of) == (artifact, of)]
        assert found, f"{self.declared.name} reads no {artifact.name} of {of}"
        return found[0]

    def _record_hash(self, read: Read, manifest: manifests.Manifest) -> manifests.Manifest:
        self.hashes[read.key] = manifest.files.get(read.part, manifest.content_sha256)
        return manifest


def check(layout: Layout, artifact: Artifact, task: str, part: str = "") -> manifests.Manifest:
    """Check a task's artefact against its manifest; returns the manifest. With `part` only this
    file of a folder is checked. Raises ArtifactError where the artefact is missing or was changed.

    A checkpoint that is an adapter is checked with its backbone."""
    path, mend = artifact.at(task, layout.root), remedy(artifact, task)
    if artifact.is_table:
        return manifests.check_table(path, artifact.kind, mend)
    manifest = manifests.check_folder(path, artifact.kind, mend, part)
    wanted = manifest.parameters.get(BACKBONE_SHA256)
    if artifact.kind != STUDENT.kind or wanted is None:
        return manifest
    if check(layout, STUDENT, BASE).content_sha256 != wanted:
        raise ArtifactError(f"{path}: its adapter was trained on another backbone. {mend}")
    return manifest


def read_as_it_lies(layout: Layout, artifact: TableArtifact, task: str) -> pa.Table:
    """The rows of a task's table, without a check against the manifest. Raises ArtifactError where
    the table is missing or has another schema."""
    return read_rows(artifact.at(task, layout.root), artifact.schema, remedy(artifact, task))


def require_room(layout: Layout, stage: Stage, after: str) -> None:
    """Raises ArtifactError where the disk has less free space than this stage's large outputs need.
    Their size is estimated by the same artefacts of `after`, the task before."""
    before = [artifact.at(after, layout.root) for artifact in stage.writes if artifact.large]
    needed = sum(bytes_below(folder) for folder in before)
    free = shutil.disk_usage(layout.root.resolve()).free
    if needed > free:
        raise ArtifactError(
            f"{layout.all_runs}: {stage.name} needs about {needed / 1e6:.0f} MB, the disk has "
            f"{free / 1e6:.0f} MB left. Make room, then run the same command again."
        )


def bytes_below(folder: Path) -> int:
    """The size in bytes of all files below a folder; 0 where the folder does not exist."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
