"""The files beside the code: what they name is there."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from ruamel.yaml import YAML

from tests.code_imports import ROOT


def loaded(name: str) -> Any:
    return YAML(typ="safe").load((ROOT / name).read_text(encoding="utf-8"))


def test_the_licence_is_the_one_that_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert project["license"] == loaded("CITATION.cff")["license"] == "Apache-2.0"
    assert "Apache License" in text and project["authors"][0]["name"] in text
    assert loaded("CITATION.cff")["title"] == project["name"]


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
