"""`lamol compare` over the experiments of `dvc exp`, and `lamol orders`, as commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.messages import mentions, names, names_in_order
from tests.stages.sequences import run

pytestmark = pytest.mark.slow

STAGE = """
import json, pathlib
from ruamel.yaml import YAML
params = YAML(typ="safe").load(pathlib.Path("params.yaml"))
score = {"lamol": 70.0 + params["seed"], "lamol_kd": 80.0 + params["seed"] ** 2 / 2}
score = score[params["method"]]
figures = {name: score for name in ("final_average", "incremental_average", "forgetting")}
figures |= {"backward_transfer": 0.0, "forward_transfer": None, "seconds": 1.0}
figures |= {"peak_memory_bytes": 1, "kept_bytes": 0, "kept_real_rows": 0}
figures |= {"method": params["method"], "tasks": ["a"]}
pathlib.Path("reports").mkdir(exist_ok=True)
written = {} if params["seed"] == 99 else {**figures, "chains": [figures]}
pathlib.Path("reports/summary.json").write_text(json.dumps(written))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project below the top of a Git repository, with one committed run of `lamol`, seed 0."""
    top = tmp_path / "repository"
    folder = top / "project"
    folder.mkdir(parents=True)
    (folder / "stage.py").write_text(STAGE)
    source = {"kind": "demo", "task": "home"}
    tasks = {name: {"after": "base", "source": {**source, "task": name}} for name in ("a", "b")}
    with (folder / "params.yaml").open("w") as out:
        YAML().dump({"method": "lamol", "seed": 0, "tasks": tasks}, out)
    stage = {
        "cmd": f"{sys.executable} stage.py",
        "deps": ["stage.py"],
        "params": ["method", "seed"],
    }
    with (folder / "dvc.yaml").open("w") as out:
        YAML().dump({"stages": {"report": {**stage, "outs": ["reports/summary.json"]}}}, out)
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run([*git, "init", "-q"], cwd=top, check=True)
    run(folder, "dvc", "init", "--subdir", "-q")
    run(folder, "dvc", "repro", "-q")
    subprocess.run([*git, "add", "-A"], cwd=top, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], cwd=top, check=True)
    return folder


def test_experiments_are_compared(project: Path) -> None:
    assert names(run(project, "lamol", "compare", expect=3), "dvc exp run --queue")
    run(project, "dvc", "exp", "run", "-q", "-n", "wrong", "-S", "seed=99")
    output = run(project, "lamol", "compare", expect=3)
    assert names(output, "wrong", "reports/summary.json")
    for method in ("lamol", "lamol_kd"):
        for seed in range(3):
            run(project, "dvc", "exp", "run", "-q", "-S", f"method={method}", "-S", f"seed={seed}")
    output = run(project, "lamol", "compare", "--out", "comparison")
    assert names_in_order(output, "lamol_kd", "lamol", "9.8", "[9.1, 10.6")
    (lost,) = YAML(typ="safe").load(project / "dvc.lock")["stages"]["report"]["outs"]
    (project / ".dvc/cache/files/md5" / lost["md5"][:2] / lost["md5"][2:]).unlink()
    output = run(project, "lamol", "compare")
    told = json.loads((project / "comparison" / "comparison.json").read_text())
    made = [name for group in told["groups"] for name in group["names"]]
    assert len([name for name in made if names(output, name)]) == 1, "the one that is left out"
    (project / "params.yaml").write_text((project / "params.yaml").read_text() + "# newer\n")
    (project / "reports" / "summary.json").write_text("{}")
    output = run(project, "lamol", "compare")
    assert names(output, "dvc repro")
    assert mentions(output, "reports/summary.json") == 1, "of `wrong` alone: nothing is read here"
    assert [(group["label"], len(group["names"])) for group in told["groups"]] == [
        ("lamol_kd", 3),
        ("lamol", 3),
    ]


def test_the_folder_s_own_run_is_compared_with_its_experiments(project: Path) -> None:
    run(project, "dvc", "exp", "run", "-q", "-S", "method=lamol_kd", "-S", "seed=7")
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("seed: 7", "seed: 8"))
    run(project, "dvc", "repro", "-q")
    output = run(project, "lamol", "compare", "--json")
    told = json.loads(output.splitlines()[0])  # a warning may follow
    groups = {group["label"]: group for group in told["groups"]}
    assert 112.0 in groups["lamol_kd"]["figures"]["final_average"]["values"]
    assert len(groups["lamol_kd"]["names"]) == groups["lamol_kd"]["num_runs"], "none twice"


def test_orders_rewrites_the_tasks_and_changes_nothing_in_a_dry_run(project: Path) -> None:
    before = (project / "params.yaml").read_bytes()
    output = run(project, "lamol", "orders", "a,b", "b,a", "--dry-run")
    assert names_in_order(output, "b-2", "base", 2, 4)
    assert names(run(project, "lamol", "orders", "a", expect=3), "b")
    (project / "params.yaml").write_text("seed: 0\n")
    assert names(run(project, "lamol", "orders", "a,b", expect=3), "tasks")
    (project / "params.yaml").write_bytes(before)
    run(project, "lamol", "orders", "--random", "2")
    tasks = YAML(typ="safe").load(project / "params.yaml")["tasks"]
    assert {name: task["after"] for name, task in tasks.items()} == {
        "a": "base", "b": "a", "b-2": "base", "a-2": "b-2",
    }  # fmt: skip
