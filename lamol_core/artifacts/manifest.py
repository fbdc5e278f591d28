"""What a folder or table holds and where it came from. Written last, so its presence is the proof.

A folder has `manifest.json` in it; a table `x.parquet` has `x.manifest.json` beside it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from lamol_core.artifacts.figures import read_json, read_json_as
from lamol_core.errors import ArtifactError
from lamol_core.records import SCHEMA_VERSION

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Provenance:
    """How an artefact was made: the parameters, the hashes of its inputs, and the version of the
    code (version.py)."""

    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    code: str = ""


NOTHING_KNOWN = Provenance()
"""Of what does not depend on parameters or inputs."""


@dataclass(frozen=True)
class Manifest:
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
    """Of all fields above: it shows whether the manifest was edited."""

    @property
    def own_sha256(self) -> str:
        others = {key: value for key, value in asdict(self).items() if key != "manifest_sha256"}
        return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def write_manifest(
    path: Path, kind: str, files: dict[str, Path], rows: dict[str, int], provenance: Provenance
) -> Manifest:
    """Write the manifest of these files (keys: their names in it)."""
    hashes = {name: sha256_of(path) for name, path in sorted(files.items())}
    # as JSON has them: tuples become lists, so that what is read again is the same
    parameters = json.loads(json.dumps(provenance.parameters))
    content = _hash_of_hashes(hashes)
    manifest = Manifest(kind, hashes, content, rows, parameters, provenance.inputs, provenance.code)
    manifest = replace(manifest, manifest_sha256=manifest.own_sha256)
    path.write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return manifest


def seal_folder(
    folder: Path, kind: str, rows: dict[str, int], provenance: Provenance = NOTHING_KNOWN
) -> None:
    """Write the manifest of every file that is in a (scratch) folder."""
    files = {name: folder / name for name in _files_below(folder)}
    write_manifest(folder / MANIFEST, kind, files, rows, provenance)


def check_folder(folder: Path, kind: str, remedy: str, part: str = "") -> Manifest:
    """The manifest of a folder that holds its files unchanged and no other, else ArtifactError.

    With `part` that file alone is looked at."""
    manifest = _check(folder, folder / MANIFEST, folder, kind, remedy, part)
    for name in () if part else _files_below(folder):
        if name not in manifest.files:
            raise ArtifactError(f"{folder / name}: not in the folder's manifest. {remedy}")
    return manifest


def is_whole(folder: Path, kind: str, provenance: Provenance) -> bool:
    """Whether a folder is there, unchanged, and made with these parameters and these inputs; it
    may have further inputs."""
    try:
        manifest = check_folder(folder, kind, "")
    except ArtifactError:
        return False
    same_parameters = manifest.parameters == json.loads(json.dumps(provenance.parameters))
    return same_parameters and provenance.inputs.items() <= manifest.inputs.items()


def check_table(table: Path, kind: str, remedy: str) -> Manifest:
    """The manifest of a table that is there and unchanged, else ArtifactError."""
    manifest = _check(table, table_manifest(table), table.parent, kind, remedy)
    if table.name not in manifest.files:
        raise ArtifactError(f"{table_manifest(table)}: of another file than {table.name}. {remedy}")
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
            raise ArtifactError(f"{path}: was changed, its hash is not the manifest's. {remedy}")
    return manifest


def read_manifest(path: Path, remedy: str) -> Manifest:
    """Parse a manifest. Raises ArtifactError when missing, unreadable or of another schema."""
    if not path.is_file():
        raise ArtifactError(f"{path}: missing, so what it describes is incomplete. {remedy}")
    version = read_json(path, remedy).get("schema_version")
    if version != SCHEMA_VERSION:
        raise ArtifactError(
            f"{path}: schema version {version}, this lamol reads {SCHEMA_VERSION}. {remedy}"
        )
    manifest = read_json_as(Manifest, path, remedy)
    hashes = manifest.content_sha256, manifest.manifest_sha256
    if hashes != (_hash_of_hashes(manifest.files), manifest.own_sha256):
        raise ArtifactError(f"{path}: was changed, its hashes do not match. {remedy}")
    return manifest


def _files_below(folder: Path) -> list[str]:
    """Names of all files but the manifest and hidden ones (a desktop's own files)."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        name.as_posix()
        for name in names
        if name != Path(MANIFEST) and not any(part.startswith(".") for part in name.parts)
    ]


def _hash_of_hashes(files: dict[str, str]) -> str:
    joined = json.dumps(files, sort_keys=True).encode()
    return hashlib.sha256(joined).hexdigest()


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
