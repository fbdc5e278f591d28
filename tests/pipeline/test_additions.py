"""Whoever adds a method, metric, source or check writes its file and its line in the registry:
parameters, manifests, scores, audits and errors then have it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.code_imports import ROOT
from tests.forkserver import fork_server
from tests.messages import names
from tests.pipeline.checkout import FIRST, SECOND, copy_checkout, tiny_params, write_params
from tests.stages.sequences import edit_params, run, stages_run

ADDITIONS = Path(__file__).parent / "additions"
IN_REGISTRY = {
    "methods/gentle.py": ("methods/registry.py", "Gentle"),
    "methods/toy.py": ("methods/registry.py", "Toy"),
    "methods/toy_counter.py": ("methods/registry.py", "ToyCounter"),
    "metrics/toy_size.py": ("metrics/registry.py", "ToySize()"),
    "data/sources/toy_numbers.py": ("data/sources/registry.py", "ToyNumbers"),
    "audit/checks/toy_length.py": ("audit/registry.py", "ToyLength()"),
}
"""Of each addition its registry, and what stands there in its line."""
LISTED = re.compile(r"(?:in|=) \(((?:\s*[A-Z]\w+(?:\(\))?,?)+)\s*\)")
"""The classes or objects that a registry lists, on a line or on several."""
IMPORT = re.compile(r"^from lamol_core\.", re.MULTILINE)
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLE = r"`lamol_core/(methods/gentle\.py)`:\n\n```python\n(.*?)```\n"
"""The whole method in the guide: its file and its code."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A checkout with all additions, and the commands of its code."""
    folder = copy_checkout(tmp_path_factory.mktemp("additions") / "checkout")
    shutil.copytree(ADDITIONS, folder / "lamol_core", dirs_exist_ok=True)
    ((example, code),) = re.findall(EXAMPLE, GUIDE, re.DOTALL)
    (folder / "lamol_core" / example).write_text(code, encoding="utf-8")
    for file, (registry, entry) in IN_REGISTRY.items():
        register(folder / "lamol_core" / registry, file, entry)
    with fork_server(PYTHONPATH=str(folder)) as commands:
        yield folder, commands


@pytest.fixture
def checkout(served: tuple[Path, Path]) -> Path:
    """It with a sequence that uses them; nothing ran yet."""
    folder, _ = served
    write_params(folder, **with_additions())
    return folder


@pytest.fixture
def call(served: tuple[Path, Path]) -> Callable[..., str]:
    folder, commands = served
    return partial(run, folder, served=commands)


def register(registry: Path, file: str, entry: str) -> None:
    """Write a class into a registry: its line, and the import that the line needs."""
    text = registry.read_text(encoding="utf-8")
    (listed,) = LISTED.finditer(text)
    text = f"{text[: listed.end(1)].rstrip(',')}, {entry}{text[listed.end(1) :]}"
    first = IMPORT.search(text)
    assert first is not None
    module = file.removesuffix(".py").replace("/", ".")
    line = f"from lamol_core.{module} import {entry.removesuffix('()')}\n"
    registry.write_text(text[: first.start()] + line + text[first.start() :], encoding="utf-8")


def with_additions() -> dict[str, Any]:
    params = tiny_params()
    numbers = {"kind": "toy_numbers", "rows": 30}
    params["tasks"][FIRST] = {"after": "base", "source": numbers, "metric": "toy_size"}
    params["backbone"]["nano"]["corpus"] = [t["source"] for t in params["tasks"].values()]
    params["audit"] = {"limits": {"toy_words": {"warn": 60, "fail": 70}}}
    return {**params, "method": "toy", "toy": {"pull": 0.25}, "toy_counter": {"at_once": 3}}


def of_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("toy.pull=-1", "toy.pull"),
        ("toy.pul=1", "toy.pul"),
        ("toy_counter.at_once=0", "toy_counter.at_once"),
        ("tasks.first.source.rows=0", "tasks.first.source.rows"),
        ("tasks.first.metric=toy_sise", "tasks.first.metric"),
        ("audit.limits.toy_words.warn=80", "audit.limits.toy_words"),
    ],
)
def test_what_is_wrong_with_an_addition_s_parameter_is_told_by_its_key(
    override: str, key: str, checkout: Path, call: Callable[..., str]
) -> None:
    assert names(call("lamol", "check", "--set", override, expect=3), key)


@pytest.mark.slow
def test_the_guide_s_method_runs_by_the_guide_s_commands(
    checkout: Path, call: Callable[..., str]
) -> None:
    (block,) = re.findall(r"^echo '(gentle: .*)' >> params.yaml$", GUIDE, re.MULTILINE)
    with (checkout / "params.yaml").open("a", encoding="utf-8") as params:
        params.write(f"{block}\n")
    (check,) = re.findall(r"^(lamol check .*)$", GUIDE, re.MULTILINE)
    call(*check.split())
    (contract,) = re.findall(r"^python (-m pytest \S*test_contract\S* .*?) +#", GUIDE, re.MULTILINE)
    shutil.copytree(ROOT / "tests", checkout / "tests", dirs_exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", checkout)
    command = [sys.executable, *contract.split(), "-n", "0", "-q"]
    done = subprocess.run(
        command, cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_an_unused_addition_asks_for_no_block(checkout: Path, call: Callable[..., str]) -> None:
    edit_params(checkout, lambda params: params.pop("toy_counter"))
    call("lamol", "check")


@pytest.mark.slow
@pytest.mark.long
def test_an_addition_is_its_file_and_its_line(checkout: Path, call: Callable[..., str]) -> None:
    call("dvc", "repro")
    runs, student = checkout / "runs", checkout / "runs" / SECOND / "student" / "manifest.json"
    parameters = of_json(student)["parameters"]
    assert parameters["method"] == "toy" and parameters["toy.pull"] == 0.25
    scores = pq.read_table(runs / FIRST / "predictions.parquet")["score"].to_pylist()
    assert 0 < of_json(runs / FIRST / "metrics.json")[FIRST] < 100
    assert all(score == 1 / round(1 / score) for score in scores), "as toy_size scores"
    assert of_json(checkout / "data" / FIRST / "lineage.json")[0]["metric"] == "toy_size"
    found = of_json(runs / SECOND / "audit" / "audit.json")["checks"]["toy_length"]
    (judged,) = [one for one in found["judged"] if not one["task"]]
    assert (judged["figure"], judged["warn"], judged["fail"]) == ("toy_words", 60, 70)
    assert judged["value"] > 1 and found["verdict"] == "pass"
    assert "toy_length" in (runs / SECOND / "README.md").read_text(encoding="utf-8")

    edit_params(checkout, lambda params: params["toy"].update(pull=0.5))
    trained = [f"train@{FIRST}", f"train@{SECOND}"]  # the first has no pseudo rows: the same bytes
    assert stages_run(call("dvc", "repro", trained[-1])) == trained
    assert of_json(student)["parameters"]["toy.pull"] == 0.5

    edit_params(checkout, lambda params: params.update(method="toy_counter"))
    ran = stages_run(call("dvc", "repro", trained[-1]))
    assert set(trained) <= set(ran) and not {"backbone", f"prepare@{FIRST}"} & set(ran)
    state = of_json(runs / SECOND / "state" / "manifest.json")
    assert state["parameters"]["toy_counter.at_once"] == 3
    rows_a_task = tiny_params()["train"]["steps"] * tiny_params()["train"]["batch_size"]
    assert state["rows"]["rows_counted"] == 3 * 2 * rows_a_task
    assert of_json(runs / SECOND / "state" / "count.json") == state["rows"]["rows_counted"]
