"""`lamol compare` over the experiments of `dvc exp`, and `lamol orders`, as commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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
        generate = {"gamma": 0.2}
        YAML().dump({"method": "lamol", "seed": 0, "generate": generate, "tasks": tasks}, out)
    stage = {
        "cmd": f"{sys.executable} stage.py",
        "deps": ["stage.py"],
        "params": ["method", "seed", "generate"],
    }
    with (folder / "dvc.yaml").open("w") as out:
        YAML().dump({"stages": {"report": {**stage, "outs": ["reports/summary.json"]}}}, out)
    subprocess.run(["git", "init", "-q"], cwd=top, check=True)
    run(folder, "dvc", "init", "--subdir", "-q")
    run(folder, "dvc", "repro", "-q")
    commit(folder)
    return folder


def compared(project: Path) -> dict[str, Any]:
    output = run(project, "lamol", "compare", "--json")
    return next(json.loads(line) for line in output.splitlines() if line.startswith("{"))


def commit(project: Path) -> str:
    """Commit all and return the commit's short name."""
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run([*git, "add", "-A"], cwd=project, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], cwd=project, check=True)
    command = [*git, "rev-parse", "--short=7", "HEAD"]
    done = subprocess.run(command, cwd=project, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.long
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
    left = compared(project)
    told = json.loads((project / "comparison" / "comparison.json").read_text())
    made = [name for group in told["groups"] for name in group["names"]]
    assert len(made) == 6 and len(left["runs"]) == 5, "one is left out"
    (project / "params.yaml").write_text((project / "params.yaml").read_text() + "# newer\n")
    (project / "reports" / "summary.json").write_text("{}")
    output = run(project, "lamol", "compare")
    assert names(output, "dvc repro")
    assert mentions(output, "reports/summary.json") == 1, "of `wrong` alone: nothing is read here"
    assert [(group["label"], len(group["names"])) for group in told["groups"]] == [
        ("lamol_kd", 3),
        ("lamol", 3),
    ]


def test_the_committed_run_stands_beside_an_experiment_with_all_that_differs(project: Path) -> None:
    head = commit(project)
    limit = "tasks.a.source.limit_train"  # a key that params.yaml leaves out needs `++`
    settings = ["-S", "seed=1", "-S", "generate.gamma=0.5", "-S", f"++{limit}=5"]
    run(project, "dvc", "exp", "run", "-q", "-n", "warm", *settings)
    warm, committed = compared(project)["runs"]
    assert names(warm["run"], "workspace", "warm") and names(committed["run"], head)
    assert warm["parameters that differ"] == {"generate.gamma": 0.5, "seed": 1, limit: 5}
    assert committed["parameters that differ"] == {"generate.gamma": 0.2, "seed": 0, limit: None}
    shown = run(project, "lamol", "compare")
    assert names(shown, "warm", head, "seed=1", "generate.gamma=0.5", "generate.gamma=0.2")


def test_a_commit_whose_parameters_were_edited_after_the_run_is_left_out(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("seed: 0", "seed: 5"))
    head = commit(project)
    run(project, "dvc", "exp", "run", "-q", "-n", "warm", "-S", "method=lamol_kd")
    params.write_text(params.read_text().replace("seed: 5", "seed: 6"))
    run(project, "dvc", "repro", "-q")
    assert [one["run"] for one in compared(project)["runs"]] == ["workspace", "warm"]
    assert names(run(project, "lamol", "compare"), head)


def test_the_folder_s_own_run_is_compared_with_its_experiments(project: Path) -> None:
    run(project, "dvc", "exp", "run", "-q", "-S", "method=lamol_kd", "-S", "seed=7")
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("seed: 7", "seed: 8"))
    run(project, "dvc", "repro", "-q")
    told = compared(project)
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
