"""Manifests: whatever was changed after the write is found, and told with path and remedy."""

import hashlib
import json
from pathlib import Path

import pytest

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.manifest import MANIFEST, Provenance, check_folder, seal_folder
from lamol_core.errors import ArtifactError
from lamol_core.records import SCHEMA_VERSION

REMEDY = "Run `dvc repro train@a`."
PROVENANCE = Provenance({"seed": 1}, {"mix": "abc"}, code="c0de")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "student"
    with atomic_folder(out) as scratch:
        (scratch / "model.safetensors").write_bytes(b"weights")
        (scratch / "sub").mkdir()
        (scratch / "sub" / "config.json").write_text("{}")
        seal_folder(scratch, "checkpoint", {"parameters": 7}, PROVENANCE)
    return out


def change_manifest(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder: Path, kind: str = "checkpoint") -> str:
    with pytest.raises(ArtifactError) as caught:
        check_folder(folder, kind, REMEDY)
    assert REMEDY in str(caught.value)
    return str(caught.value)


def test_an_untouched_folder_passes_with_its_provenance(folder: Path) -> None:
    manifest = check_folder(folder, "checkpoint", REMEDY)
    assert set(manifest.files) == {"model.safetensors", "sub/config.json"}
    assert manifest.files["model.safetensors"] == hashlib.sha256(b"weights").hexdigest()
    assert (manifest.parameters, manifest.inputs) == ({"seed": 1}, {"mix": "abc"})
    assert manifest.rows == {"parameters": 7}
    assert manifest.schema_version == SCHEMA_VERSION and manifest.code_version == "c0de"


def test_content_hash_depends_on_names_and_bytes_not_on_provenance(tmp_path: Path) -> None:
    def content(name: str, files: dict[str, bytes], seed: int) -> str:
        out = tmp_path / name
        with atomic_folder(out) as scratch:
            for file, data in files.items():
                (scratch / file).write_bytes(data)
            seal_folder(scratch, "data", {}, Provenance({"seed": seed}))
        return check_folder(out, "data", REMEDY).content_sha256

    first = content("1", {"a": b"1", "b": b"2"}, 0)
    assert first == content("2", {"b": b"2", "a": b"1"}, 5)
    assert first != content("3", {"a": b"2", "b": b"1"}, 0)
    assert first != content("4", {"a": b"1", "c": b"2"}, 0)
    assert first != content("5", {"a": b"1", "b": b"3"}, 0)


def test_one_changed_byte_is_found(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weightz")
    assert str(folder / "model.safetensors") in refusal(folder)


def test_a_missing_file_is_found(folder: Path) -> None:
    (folder / "sub" / "config.json").unlink()
    assert str(folder / "sub" / "config.json") in refusal(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "sub/more.json"])
def test_a_file_more_is_found_but_a_hidden_one(folder: Path, name: str) -> None:
    (folder / ".DS_Store").write_bytes(b"")
    check_folder(folder, "checkpoint", REMEDY)
    (folder / name).write_bytes(b"")
    assert str(folder / name) in refusal(folder)


def test_hashes_that_do_not_fit_together_are_found(folder: Path) -> None:
    files = json.loads((folder / MANIFEST).read_text())["files"]
    change_manifest(folder, content_sha256="0" * 64)
    assert str(folder / MANIFEST) in refusal(folder)
    change_manifest(folder, files={name: files[name] for name in list(files)[:1]})
    assert str(folder / MANIFEST) in refusal(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": {"seed": 2}},
        {"inputs": {"mix": "abd"}},
        {"rows": {"parameters": 8}},
        {"code_version": "other"},
        {"manifest_sha256": "0" * 64},
    ],
)
def test_a_manifest_is_hashed_whole(folder: Path, changes: dict[str, object]) -> None:
    change_manifest(folder, **changes)
    assert str(folder / MANIFEST) in refusal(folder)


@pytest.mark.parametrize("part", ["files", "rows", "parameters", "inputs"])
@pytest.mark.parametrize("value", [None, [], 1])
def test_a_part_of_the_manifest_of_another_type_is_no_bug(
    folder: Path, part: str, value: object
) -> None:
    change_manifest(folder, **{part: value})
    assert repr(part) in refusal(folder)


def test_a_missing_folder_and_a_missing_manifest(folder: Path, tmp_path: Path) -> None:
    assert str(tmp_path / "none") in refusal(tmp_path / "none")
    (folder / MANIFEST).unlink()
    assert str(folder / MANIFEST) in refusal(folder)


def test_the_wrong_kind_is_named(folder: Path) -> None:
    message = refusal(folder, "data")
    assert str(folder) in message and "'checkpoint'" in message and "'data'" in message


def test_another_schema_version_is_named(folder: Path) -> None:
    change_manifest(folder, schema_version=SCHEMA_VERSION + 1)
    message = refusal(folder)
    assert str(folder / MANIFEST) in message and str(SCHEMA_VERSION + 1) in message


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '{"kind": "checkpoint"}', "\x00"])
def test_a_broken_manifest_is_no_bug(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    assert str(folder / MANIFEST) in refusal(folder)


def test_an_unknown_field_in_the_manifest_is_no_bug(folder: Path) -> None:
    change_manifest(folder, colour="blue")
    assert "colour" in refusal(folder)
