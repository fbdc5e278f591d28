"""What has a registry or a declaration is spelt there alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from lamol_core.artifacts.spec import STAGES
from lamol_core.audit.registry import CHECKS
from lamol_core.data.sources.registry import SOURCES
from lamol_core.methods.registry import METHODS
from lamol_core.metrics.registry import METRICS
from tests.code_imports import PACKAGES, ROOT

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
OTHER_MEANINGS = {
    ("lamol", "lamol_core/machine.py"): "the package",
    ("accuracy", "lamol_core/reporting/plots.py"): "a chart",
    ("accuracy", "lamol_core/artifacts/spec.py"): "a chart",
    ("csv", "stages/samples.py"): "how rows are printed",
    ("hub", "lamol_core/models/params.py"): "a kind of backbone",
    ("hub", "lamol_core/pipeline/init.py"): "a kind of backbone",
    ("hub", "stages/init.py"): "a kind of backbone",
    ("canaries", "lamol_core/data/canaries.py"): "what a random generator is for",
}
"""Words that are names of something else too, and where they stand for that."""


def texts_of(file: Path) -> Iterator[str]:
    """Every string of a file; what is put into one stands as `{}`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
              for part in node.values}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "{}"
                          for v in node.values)  # fmt: skip
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from [node.value] if id(node) not in pieces else []


@pytest.mark.parametrize(
    ("folder", "known"),
    [
        ("methods", METHODS),
        ("metrics", METRICS),
        ("data/sources", SOURCES),
        ("audit/checks", [check.name for check in CHECKS]),
    ],
)
def test_a_name_stands_in_its_own_file(folder: str, known: Iterable[str]) -> None:
    names = set(known)
    own = {
        name: {ROOT / "lamol_core" / folder / f"{name}{end}.py" for end in ("", "_memory")}
        for name in names
    }
    found = {
        (text, file.relative_to(ROOT).as_posix())
        for file in FILES
        for text in texts_of(file)
        if text in names and file not in own[text]
    }
    assert found == {(name, file) for name, file in OTHER_MEANINGS if name in names}


def test_the_command_that_makes_an_artefact_follows_from_its_declaration() -> None:
    spelt = re.compile(rf"dvc repro [^`.;]*(@|\b({'|'.join(STAGES)})\b)|[Rr]un the stage")
    found = {
        file.relative_to(ROOT).as_posix()
        for file in FILES
        for text in texts_of(file)
        if spelt.search(text)
    }
    assert found == set()
