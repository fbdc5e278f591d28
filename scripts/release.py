"""Builds the wheel and the sdist, checks them, and runs a sequence from each on every Python.

    python scripts/release.py [--out dist] [--python 3.11]

Each artefact is installed in an empty environment of each supported version of Python that this
machine has (on PATH or of pyenv), with the pinned versions of constraints.txt. There `lamol init`
and `dvc repro` learn three small CSV files. Exits with 1 where anything failed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
NEEDED = (
    "LICENSE",
    "lamol_core/py.typed",
    "lamol_core/reporting/templates/page.css",
    "stages/cli.py",
)
"""Files that both artefacts must hold."""
ALLOWED = {
    ".whl": r"lamol_core/|stages/|[^/]+\.dist-info/",
    ".gz": r"lamol_core/|stages/|(dvc\.yaml|constraints\.txt|pyproject\.toml|PKG-INFO|\.gitignore"
    r"|LICENSE|README\.md|CHANGELOG\.md|CITATION\.cff)$",
}
"""What the names in an artefact begin with, by its suffix."""
TASKS = {
    "colours": ("what is {}", {"red": "warm", "blue": "cold", "green": "cold"}),
    "animals": ("the {} has", {"cat": "paws", "dog": "paws", "crow": "wings"}),
    "numbers": ("say if {} is odd", {"one": "odd", "two": "even", "three": "odd"}),
}
ROWS = 45
NANO = {"hidden_size": 32, "layers": 2, "heads": 2, "vocab_size": 400, "max_positions": 128}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--python", action="append", help="a version, repeatable (all supported)")
    options = parser.parse_args()
    artefacts = build(options.out)
    problems = []
    for artefact in artefacts:
        names = names_in(artefact)
        say(f"{artefact.name}, {artefact.stat().st_size:,} bytes, {len(names)} files")
        say(*(f"    {name}" for name in names if artefact.suffix == ".whl"))
        problems += content_problems(artefact.suffix, names)
    twine = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *artefacts])
    problems += ["twine check failed"] * bool(twine.returncode)
    for version in options.python or supported_versions():
        python = find_python(version)
        if python is None:
            say(f"Python {version}: not on this machine, not tested")
            continue
        problems += [one for artefact in artefacts for one in try_out(artefact, python, version)]
    say(*(problems or ["All passed."]))
    sys.exit(bool(problems))


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def build(out: Path) -> list[Path]:
    """The wheel and the sdist of this checkout, in `out`; those of other versions are removed."""
    for old in out.glob("lamol_kd-*"):
        old.unlink()
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [*out.glob("lamol_kd-*.whl"), *out.glob("lamol_kd-*.tar.gz")]


def names_in(artefact: Path) -> list[str]:
    """The files in a wheel or sdist; those of an sdist without its top folder."""
    if artefact.suffix == ".whl":
        with ZipFile(artefact) as wheel:
            return sorted(wheel.namelist())
    with tarfile.open(artefact) as sdist:
        return sorted(name.partition("/")[2] for name in sdist.getnames())


def content_problems(suffix: str, names: list[str]) -> list[str]:
    """A sentence for each file that an artefact lacks or should not hold."""
    missing = [one for one in NEEDED if not any(f"/{name}".endswith(f"/{one}") for name in names)]
    strange = [name for name in names if not re.match(ALLOWED[suffix], name)]
    return [f"{suffix}: lacks {one}" for one in missing] + [f"{suffix}: holds {n}" for n in strange]


def supported_versions() -> list[str]:
    """The versions of Python in the classifiers of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = (re.search(r"Python :: (\d+\.\d+)$", one) for one in project["classifiers"])
    return [match[1] for match in found if match]


def find_python(version: str) -> str | None:
    """An interpreter of this version that can make an environment; None where there is none."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [shutil.which(name), *map(str, pyenv.glob(f"versions/{version}.*/bin/{name}"))]
    probe = "import ensurepip, sys, venv; print(*sys.version_info[:2], sep='.')"
    for python in filter(None, candidates):  # a shim of pyenv is there and may not run
        done = subprocess.run([python, "-c", probe], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return python
    return None


def try_out(artefact: Path, python: str, version: str) -> list[str]:
    """Install an artefact and run the sequence; a sentence where that failed."""
    what = f"Python {version}, {'wheel' if artefact.suffix == '.whl' else 'sdist'}"
    with tempfile.TemporaryDirectory(prefix="lamol-release-") as folder:
        work, started = Path(folder), time.perf_counter()
        say(f"{what}: an empty environment, some minutes ...")
        try:
            run(work, "", python, "-m", "venv", "environment")
            pip = ("python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt")
            run(work, "", *pip, "--no-compile", artefact.resolve())
            installed = time.perf_counter()
            scores = run_sequence(work)
        except subprocess.CalledProcessError as error:
            say(f"{what}: failed", str(error.stdout))
            return [f"{what}: {' '.join(map(str, error.cmd))} failed"]
    ended = time.perf_counter()
    say(
        f"{what}: installed in {installed - started:.0f} s, lamol init and dvc repro in "
        f"{ended - installed:.0f} s, final average {scores['final_average']:.1f}"
    )
    return []


def run_sequence(work: Path) -> dict[str, Any]:
    """Learn three small CSV files with the commands of `environment`; the summary's figures."""
    options: list[str] = []
    for name in TASKS:
        write_csv(work / f"{name}.csv", name)
        options += ["--task", f"{name}={name}.csv"]
    run(work, "", "lamol", "init", "mine", *options)
    yaml, path = YAML(), work / "mine" / "params.yaml"
    params = yaml.load(path)
    params["backbone"]["nano"].update(NANO)
    params["text"].update(max_length=64, max_input_tokens=16, max_target_tokens=6)
    params["train"].update(steps=100, batch_size=8, learning_rate=5e-3)
    yaml.dump(params, path)
    run(work, "mine", "dvc", "repro")
    figures: dict[str, Any] = json.loads(
        (work / "mine/reports/summary.json").read_text(encoding="utf-8")
    )
    assert figures["tasks"] == list(TASKS)
    return figures


def write_csv(path: Path, name: str) -> None:
    template, targets = TASKS[name]
    words = list(targets)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["input", "target"])
        for row in range(ROWS):  # numbered, so that no two are the same
            word = words[row % len(words)]
            writer.writerow([f"{template.format(word)} {row}", targets[word]])


def run(work: Path, folder: str, *command: str | Path) -> None:
    """Run a command in a folder of `work`. It sees the environment there and nothing of this one.
    Raises CalledProcessError with its output."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    environment |= {"PATH": f"{work}/environment/bin:/usr/bin:/bin", "DVC_NO_ANALYTICS": "1"}
    subprocess.run(
        command, cwd=work / folder, env=environment, check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


if __name__ == "__main__":
    main()
