"""What is published: its files, its metadata, and the Pythons that it is tried on."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.messages import names
from tests.scripts import load_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("release")


@pytest.mark.slow
def test_the_artefacts_of_this_checkout_hold_what_they_should(
    script: ModuleType, tmp_path: Path
) -> None:
    wheel, sdist = script.build(tmp_path / "dist")
    for artefact in (wheel, sdist):
        files = script.names_in(artefact)
        assert script.content_problems(artefact.suffix, files) == []
        assert not [name for name in files if "tests" in name.split("/")]
    assert {"README.md", "CHANGELOG.md", "CITATION.cff"} <= set(script.names_in(sdist))


def test_a_file_too_few_and_one_too_many_are_named(script: ModuleType) -> None:
    enough = list(script.NEEDED)
    assert script.content_problems(".gz", enough) == []
    (problem,) = script.content_problems(".gz", [*enough, "tests/stages/conftest.py"])
    assert names(problem, "tests/stages/conftest.py")
    (problem,) = script.content_problems(".gz", enough[1:])
    assert names(problem, enough[0])


def test_pythons_are_those_of_the_classifiers(script: ModuleType) -> None:
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert own in script.supported_versions()
    assert script.find_python(own) is not None and script.find_python("3.99") is None
