"""Which code an artefact was made by: that of its stage's packages, and no more."""

import shutil
from pathlib import Path

import pytest

from lamol_core.artifacts.spec import STAGES
from lamol_core.artifacts.version import ALWAYS, ROOT, code_version

PACKAGES = sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file())


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of lamol_core."""
    folder = tmp_path / "lamol_core"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def versions(root: Path) -> dict[str, str]:
    """Of each stage, as a new process would find it."""
    code_version.cache_clear()
    return {name: code_version(stage.packages, root) for name, stage in STAGES.items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in STAGES if before[name] != after[name]}


def test_a_copy_is_the_same_code_and_its_caches_do_not_count(code: Path) -> None:
    (code / "data" / "__pycache__").mkdir()
    (code / "data" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert versions(code) == versions(ROOT)
    assert all(len(version) == 16 for version in versions(code).values())


def test_an_edit_is_other_code_for_the_stages_that_declare_its_package(code: Path) -> None:
    before = versions(code)
    for package in PACKAGES:
        path = code / package / "__init__.py"
        path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
        after = versions(code)
        declared = {name for name, stage in STAGES.items() if package in stage.packages}
        assert changed(before, after) == declared, package
        before = after
    for name in ALWAYS:
        (code / name).write_text("# edited\n", encoding="utf-8")
        assert changed(before, before := versions(code)) == set(STAGES)


def test_an_audit_s_edit_is_no_other_training(code: Path) -> None:
    before = versions(code)
    (code / "audit" / "checks" / "variety.py").write_text("", encoding="utf-8")
    assert changed(before, versions(code)) == {"audit"}


def test_names_and_data_files_count(code: Path) -> None:
    before = versions(code)
    corpus = code / "data" / "demo_corpus.parquet"
    corpus = corpus.rename(corpus.with_name("corpus.parquet"))
    assert "prepare" in changed(before, before := versions(code))
    corpus.unlink()
    assert "prepare" in changed(before, versions(code))
