"""Every command block of README.md and docs/get-started.md runs, from an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import textwrap
import venv
from pathlib import Path

import pytest

from tests.code_imports import ROOT
from tests.forkserver import fork_server

pytestmark = [pytest.mark.documented, pytest.mark.slow]
BLOCK = re.compile(r"(?:^ {4}.*\n(?:\n(?= {4}))*)+", re.M)
"""An indented block, with blank lines inside."""
IN_OTHER_TESTS = re.compile(r"^make (demo|test)\b.*$", re.M)
STEPS, FEWER_STEPS = '"steps": 400', '"steps": 60'
NEWS = {"sport": "the match of team {}", "weather": "rain in town {} tomorrow"}
MAILS = {"printer": "the printer on floor {} is broken", "login": "user {} can not log in"}


def commands(page: str) -> list[str]:
    """The blocks of a page, without the commands that are the whole of another test."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        IN_OTHER_TESTS.sub("", textwrap.dedent(block.group())) for block in BLOCK.finditer(text)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a copy of the repository, `lamol`, and nothing else. New sequences of the copy
    train for fewer steps: the commands are tested here, not what is learnt."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / "lamol" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "lamol" / name).write_bytes((ROOT / name).read_bytes())
    init = tmp_path / "lamol" / "lamol_core" / "pipeline" / "init.py"
    text = init.read_text(encoding="utf-8")
    assert text.count(STEPS) == 1
    init.write_text(text.replace(STEPS, FEWER_STEPS), encoding="utf-8")
    return tmp_path


def run_all(blocks: list[str], folder: Path, environment: Path) -> str:
    """Run the blocks in shells that stop at the first error; return what was printed.

    `environment` is the virtual environment that the first block makes: it is made beforehand and
    sees the packages installed here, so that pip installs only the product. The other blocks find
    its `lamol` and `dvc` as forks (forkserver.py)."""
    venv.create(environment, with_pip=True, symlinks=True)
    (site,) = environment.glob("lib/*/site-packages")
    (site / "installed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    changes = {"HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    pip = {"PIP_NO_BUILD_ISOLATION": "false", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # no isolation
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    installing, *others = blocks
    printed = run_in_bash(installing, folder, {**changes, **pip, "PATH": here})
    with fork_server(str(environment / "bin" / "python"), **changes) as served:
        path = os.pathsep.join([str(served), str(environment / "bin"), here])
        return printed + run_in_bash("\n".join(others), folder, {**changes, "PATH": path})


def run_in_bash(script: str, folder: Path, changes: dict[str, str]) -> str:
    ran = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        cwd=folder,
        env=os.environ | changes,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout


def test_readme(folder: Path) -> None:
    """In the copy, beside the user's files that it names."""
    checkout = folder / "lamol"
    write_rows(checkout / "news.csv", NEWS)
    write_rows(checkout / "mails" / "train.csv", MAILS)
    printed = run_all(commands("README.md"), checkout, checkout / ".venv")
    assert (checkout / "mine" / "reports" / "index.html").is_file()
    assert printed.splitlines()[-1] in {*NEWS, *MAILS}, "`lamol ask` answers"


def test_get_started(folder: Path) -> None:
    printed = run_all(commands("docs/get-started.md"), folder, folder / "venv")
    assert (folder / "mine" / "reports" / "index.html").is_file()
    assert "finetune" in printed and "lamol_kd" in printed, "`lamol compare` shows both"
    assert "Data and pipelines are up to date." in printed.splitlines()[-1:][0]


def write_rows(path: Path, labels: dict[str, str]) -> None:
    path.parent.mkdir(exist_ok=True)
    rows = [f"{text.format(n)},{label}" for n in range(30) for label, text in labels.items()]
    path.write_text("\n".join(["input,target", *rows]) + "\n", encoding="utf-8")
