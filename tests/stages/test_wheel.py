"""The built wheel in an environment of its own, in a folder that knows nothing of the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.forkserver import fork_server
from tests.messages import names
from tests.scripts import load_script
from tests.stages.sequences import make_tiny, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.long]
NAMES = ("colours", "animals", "sums")


def test_the_wheel_runs_a_sequence_of_three_csv_files(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    wheel, _ = load_script("release").build(tmp_path / "dist")
    install_wheel(wheel, environment)
    work = tmp_path / "work"
    work.mkdir()
    options = []
    for name in NAMES:
        options += ["--task", f"{name}={write_csv(work / f'{name}.csv', name)}"]
    call(work, environment, "lamol", "init", "mine", *options, "--method", "lamol_kd")
    folder = work / "mine"
    where = "import lamol_core; print(lamol_core.__file__)"
    assert str(environment) in call(folder, environment, "python", "-c", where)
    call(folder, environment, "lamol", "check")
    make_tiny(folder)
    python = str(environment / "bin" / "python")
    with fork_server(python, PYTHONPATH="") as served:
        call(folder, environment, "dvc", "repro", served=served)
    summary = json.loads((folder / "reports" / "summary.json").read_text(encoding="utf-8"))
    assert summary["tasks"] == list(NAMES)
    assert names(call(folder, environment, "lamol", "report"), "reports/index.html")


def install_wheel(wheel: Path, environment: Path) -> None:
    """A new environment with the wheel; its dependencies are those of the running one.

    They are seen through a .pth file: installing torch anew would test pip, for two minutes. The
    wheel's own metadata is checked to name every one of them.
    """
    venv.create(environment, with_pip=False)
    site = next(environment.glob("lib/python*/site-packages"))
    ours = next(Path(sys.executable).parent.parent.glob("lib/python*/site-packages"))
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--python", str(environment / "bin" / "python"),
         "install", "--no-deps", str(wheel)],
        check=True,
    )  # fmt: skip
    # addsitedir would run the .pth of our editable install and show the checkout: a plain path
    (site / "dependencies.pth").write_text(f"{ours}\n", encoding="utf-8")
    script = environment / "bin" / "dvc"
    script.write_text(
        f"#!{environment}/bin/python\nfrom dvc.cli import main\nraise SystemExit(main())\n",
        encoding="utf-8",
    )
    script.chmod(0o755)


def call(folder: Path, environment: Path, *command: str, served: Path | None = None) -> str:
    """Run a command of the environment, or of the folder `served` (forkserver.py)."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            "PATH": f"{served or environment / 'bin'}:{environment}/bin:/usr/bin:/bin",
            "HOME": os.environ.get("HOME", str(folder)),
            "OMP_NUM_THREADS": "1",
            "DVC_NO_ANALYTICS": "1",
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
