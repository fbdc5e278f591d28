"""The files beside the code: what they name is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from lamol_core.artifacts.spec import STAGES
from scripts.make_docs import PAGES
from stages.cli import COMMANDS
from tests.code_imports import PACKAGES, ROOT
from tests.test_layers import names_imported


def loaded(name: str) -> Any:
    return YAML(typ="safe").load((ROOT / name).read_text(encoding="utf-8"))


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
BY_OTHERS = {"gguf"}
"""Packages that transformers imports where we ask it to."""


def test_the_licence_is_the_one_that_is_named() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == loaded("CITATION.cff")["license"] == "Apache-2.0"
    assert "Apache License" in text and PROJECT["authors"][0]["name"] in text
    assert loaded("CITATION.cff")["title"] == PROJECT["name"]


def test_every_import_is_a_dependency_and_every_dependency_is_imported() -> None:
    files = [file for folder in PACKAGES for file in (ROOT / folder).rglob("*.py")]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    modules = {name for tree in trees for node in ast.walk(tree) for name in names_imported(node)}
    tops = {name.split(".")[0] for name in modules} - {*sys.stdlib_module_names, *PACKAGES}
    providers = packages_distributions()
    imported = {normal(name) for top in tops for name in providers[top]}
    of_users = EXTRAS["gguf"]
    declared = {normal(line) for line in PROJECT["dependencies"] + of_users}
    assert imported | BY_OTHERS == declared


def normal(requirement: str) -> str:
    """The name of the package in a requirement, in the form that all spellings share."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>= ]", requirement)[0]).lower()


def test_pins_install_on_the_oldest_python() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    needs = {
        f"{found.name}=={found.version}": found.metadata["Requires-Python"] or ""
        for found in distributions()
    }
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    assert len(needs.keys() & {*pinned}) > 100
    newer = {pin: needs[pin] for pin in pinned if oldest not in SpecifierSet(needs.get(pin, ""))}
    assert newer == {}


def test_the_method_is_cited() -> None:
    papers = loaded("CITATION.cff")["references"]
    names = [[author["family-names"] for author in paper["authors"]] for paper in papers]
    assert names == [["Zheng", "Qiu", "Ma"], ["Sun", "Ho", "Lee"]]
    assert "2312.07887" in str(papers[0]["identifiers"])


def test_ci_and_commits_run_what_is_run_by_hand() -> None:
    (hook,) = loaded(".pre-commit-config.yaml")["repos"][0]["hooks"]
    assert hook["entry"] == "make lint"
    steps = loaded(".github/workflows/ci.yml")["jobs"]["test"]["steps"]
    (command,) = [step["run"] for step in steps if "run" in step]
    assert (ROOT / command).stat().st_mode & 0o100


def test_targets_of_make_in_the_guide_are_there() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    named = re.findall(r"`make ([a-z-]+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert named and set(named) <= set(targets)


def test_changes_of_results_are_told_apart() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## Unreleased\n\n(?:.+\n)*?### Changes results$", text, re.M)


def test_every_long_step_is_announced_with_a_range_of_minutes(tmp_path: Path) -> None:
    """On a fresh machine: nothing is installed yet."""
    planned = subprocess.run(
        ["make", "-n", "demo", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    is_long = [bool(re.search(r"pip install|-m venv|dvc repro", step)) for step in planned]
    assert sum(is_long) == 4
    told = [re.search(r"^echo .*\d+ to \d+ (minutes|seconds)", step) for step in planned]
    for row, step in enumerate(planned):
        if is_long[row]:
            assert any(told[max(row - 2, 0) : row]), step
            assert "--quiet" not in step, "pip shows that it goes on"


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_up_to_date(name: str) -> None:
    """`python scripts/make_docs.py` writes it again."""
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name]()


def test_files_can_be_read_in_a_sitting() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    files = [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    assert len(files) < 545
    texts = [file for file in files if file.suffix not in (".png", ".parquet")]
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in texts}
    assert {file for file, num in lines.items() if num > 300} == set()
    for name in (example.split()[0] for panel in COMMANDS.values() for example in panel):
        assert lines[ROOT / "stages" / f"{name}.py"] <= (60 if name in STAGES else 100), name
