"""Manifests: what a folder or table holds, and what it was made from.

A folder has `manifest.json` in it; a table `x.parquet` has `x.manifest.json` beside it. The
manifest is written last, so its presence shows that the artefact is complete.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.figures import read_json, read_json_as
from lamol_core.errors import ArtifactError
from lamol_core.records import SCHEMA_VERSION

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Provenance:
    """How an artefact was made: parameters, hashes of the inputs by name, and the code version
    (version.py)."""

    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    code: str = ""


NOTHING_KNOWN = Provenance()
"""The provenance of an artefact that depends on no parameter and no input."""
WriteFiles = Callable[[Path], dict[str, int]]
"""A function that writes files into a folder and returns counts for its manifest."""


@dataclass(frozen=True)
class Manifest:
    """The content of a manifest. `files`: the sha256 of each file. `content_sha256`: the hash of
    these. `rows`: row counts by table."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    kind: str
    files: dict[str, str]
    content_sha256: str
    rows: dict[str, int]
    parameters: dict[str, Any]
    inputs: dict[str, str]
    code_version: str
    schema_version: int = SCHEMA_VERSION
    manifest_sha256: str = ""
    """The hash of all fields above. It shows whether the manifest was edited."""

    @property
    def own_sha256(self) -> str:
        others = {key: value for key, value in asdict(self).items() if key != "manifest_sha256"}
        return sha256_of_json(others)


def write_manifest(
    path: Path, kind: str, files: dict[str, Path], rows: dict[str, int], provenance: Provenance
) -> Manifest:
    """Write the manifest of these files to `path`. The keys of `files` are their names in the
    manifest."""
    hashes = {name: sha256_of(path) for name, path in sorted(files.items())}
    # tuples become lists, as they will be when the JSON is read again
    parameters = json.loads(json.dumps(provenance.parameters))
    content = sha256_of_json(hashes)
    manifest = Manifest(kind, hashes, content, rows, parameters, provenance.inputs, provenance.code)
    manifest = replace(manifest, manifest_sha256=manifest.own_sha256)
    path.write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return manifest


def seal_folder(
    folder: Path, kind: str, rows: dict[str, int], provenance: Provenance = NOTHING_KNOWN
) -> None:
    """Write the manifest of all files in a folder, usually a scratch folder."""
    files = {name: folder / name for name in _files_below(folder)}
    write_manifest(folder / MANIFEST, kind, files, rows, provenance)


def write_folder(
    folder: Path, kind: str, provenance: Provenance = NOTHING_KNOWN, write: WriteFiles | None = None
) -> None:
    """Write a folder atomically, with its manifest. Without `write` it has no other file."""
    with atomic_folder(folder) as scratch:
        rows = write(scratch) if write else {}
        for name in _files_below(scratch):
            (scratch / name).chmod(0o644)  # safetensors writes files that only the owner can read
        seal_folder(scratch, kind, rows, provenance)


def check_folder(folder: Path, kind: str, remedy: str, part: str = "") -> Manifest:
    """Check that a folder holds exactly the files of its manifest, unchanged; returns the manifest.

    With `part` only the file of this name is checked. Raises ArtifactError, whose message ends with
    `remedy`."""
    manifest = _check(folder, folder / MANIFEST, folder, kind, remedy, part)
    for name in [part] if part else _files_below(folder):
        if name not in manifest.files:
            raise ArtifactError(f"{folder / name}: not in the folder's manifest. {remedy}")
    return manifest


def is_whole(folder: Path, kind: str, provenance: Provenance) -> bool:
    """Whether a folder exists, is unchanged, and was made with these parameters and inputs. It may
    have been made with further inputs too."""
    try:
        manifest = check_folder(folder, kind, "")
    except ArtifactError:
        return False
    same_parameters = manifest.parameters == json.loads(json.dumps(provenance.parameters))
    return same_parameters and provenance.inputs.items() <= manifest.inputs.items()


def check_table(table: Path, kind: str, remedy: str) -> Manifest:
    """Check that a table exists and is unchanged; returns its manifest. Raises ArtifactError
    otherwise, with `remedy` at the end of the message."""
    manifest = _check(table, table_manifest(table), table.parent, kind, remedy)
    if table.name not in manifest.files:
        raise ArtifactError(f"{table_manifest(table)}: does not list {table.name}. {remedy}")
    return manifest


def table_manifest(table: Path) -> Path:
    return table.with_name(f"{table.stem}.{MANIFEST}")


def _check(
    what: Path, manifest_path: Path, root: Path, kind: str, remedy: str, part: str = ""
) -> Manifest:
    if not what.exists():
        raise ArtifactError(f"{what}: missing. {remedy}")
    manifest = read_manifest(manifest_path, remedy)
    if manifest.kind != kind:
        raise ArtifactError(f"{what}: holds {manifest.kind!r}, not {kind!r}. {remedy}")
    for name, expected in manifest.files.items():
        path = root / name
        if part not in ("", name):
            continue
        if not path.is_file():
            raise ArtifactError(f"{path}: missing. {remedy}")
        if sha256_of(path) != expected:
            raise ArtifactError(f"{path}: was changed after its manifest was written. {remedy}")
    return manifest


def read_manifest(path: Path, remedy: str) -> Manifest:
    """Read a manifest. Raises ArtifactError where it is missing, unreadable, edited, or of another
    schema version."""
    if not path.is_file():
        raise ArtifactError(f"{path}: missing, so the artefact is incomplete. {remedy}")
    version = read_json(path, remedy).get("schema_version")
    if version != SCHEMA_VERSION:
        raise ArtifactError(
            f"{path}: schema version {version}, this lamol reads {SCHEMA_VERSION}. {remedy}"
        )
    manifest = read_json_as(Manifest, path, remedy)
    hashes = manifest.content_sha256, manifest.manifest_sha256
    if hashes != (sha256_of_json(manifest.files), manifest.own_sha256):
        raise ArtifactError(f"{path}: was changed, its hashes do not match. {remedy}")
    return manifest


def _files_below(folder: Path) -> list[str]:
    """The names of all files below a folder but its manifest and hidden files."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        name.as_posix()
        for name in names
        if name != Path(MANIFEST) and not any(part.startswith(".") for part in name.parts)
    ]


def sha256_of_json(content: object) -> str:
    """Hex sha256 of plain data. The order of keys does not matter."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
