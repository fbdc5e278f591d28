"""The script that runs methods side by side: a run's name says all of its parameters."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from lamol_core.parameters import completed
from lamol_core.reporting.comparison.finished_runs import read_folders
from tests.code_imports import ROOT
from tests.messages import naming
from tests.scripts import load_script

EXAMPLE = ROOT / "examples" / "clinc150"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("compare_methods")


def test_a_name_sets_method_seed_order_and_parameters(script: ModuleType) -> None:
    plain = script.params_of(EXAMPLE, "lamol:3")
    assert (plain["method"], plain["seed"]) == ("lamol", 3)
    order = list(reversed(plain["tasks"]))
    turned = script.params_of(
        EXAMPLE, f"derpp:0:order={','.join(order)}:generate.unique=true:derpp.alpha=0.25"
    )
    assert list(turned["tasks"]) == order and turned["tasks"][order[0]]["after"] == "base"
    assert turned["generate"]["unique"] is True and turned["derpp"]["alpha"] == 0.25


def test_a_folder_with_other_parameters_is_no_run_of_this_name(
    script: ModuleType, tmp_path: Path
) -> None:
    name = "lamol:0"
    params = script.resolved(script.params_of(EXAMPLE, name), EXAMPLE)
    assert all(Path(task["source"]["path"]).is_absolute() for task in params["tasks"].values())
    folder = tmp_path / script.folder_name(name)
    folder.mkdir()
    (folder / "params.yaml").write_text(json.dumps(params), encoding="utf-8")  # JSON is YAML too
    script.refuse_other_parameters(EXAMPLE, folder, name)
    with pytest.raises(SystemExit, match=naming(folder, "--out")):
        script.refuse_other_parameters(EXAMPLE, folder, f"{name}:train.epochs=1")


def test_a_run_s_commits_are_noted_and_kept(script: ModuleType, tmp_path: Path) -> None:
    name = "lamol:0"
    folder = tmp_path / "out" / script.folder_name(name)
    (folder / "reports").mkdir(parents=True)
    (folder / "commits.txt").write_text("abc1234\n")
    for _ in range(2):
        script.note_commit(folder)
    first, second = script.commits_of(folder)
    assert first == "abc1234" and second
    write_summary(folder, list(script.params_of(EXAMPLE, name)["tasks"]), 70.0)
    script.keep_result(EXAMPLE, tmp_path / "out", name, tmp_path / "kept.jsonl")
    (run,) = read_folders([tmp_path / "kept.jsonl"], completed)
    assert run.commits.split() == [first, second]


def test_a_kept_run_is_read_as_it_was_and_takes_the_place_of_an_older_one(
    script: ModuleType, tmp_path: Path
) -> None:
    table = tmp_path / "kept.jsonl"
    tasks = list(script.params_of(EXAMPLE, "lamol:0")["tasks"])
    for name, final in (("lamol:1", 60.0), ("lamol:0", 70.0), ("lamol:1", 80.0)):
        write_summary(tmp_path / "out" / script.folder_name(name), tasks, final)
        script.keep_result(EXAMPLE, tmp_path / "out", name, table)
    runs = read_folders([table, table], completed)
    assert [(one.params["seed"], one.summary["final_average"]) for one in runs] == [
        (0, 70.0),
        (1, 80.0),
    ]
    assert all(one.commits == "" for one in runs), "none was noted"
    source = script.params_of(EXAMPLE, "lamol:0")["tasks"][tasks[0]]["source"]
    assert runs[0].params[f"tasks.{tasks[0]}.source.path"] == source["path"]


def write_summary(folder: Path, tasks: list[str], final: float) -> None:
    chain = {"method": "lamol", "tasks": tasks, "final_average": final}
    (folder / "reports").mkdir(parents=True, exist_ok=True)
    path = folder / "reports" / "summary.json"
    path.write_text(json.dumps({**chain, "chains": [chain]}), encoding="utf-8")


def test_files_of_all_kinds_are_found_from_a_copy_and_hub_ids_stay(
    script: ModuleType, tmp_path: Path
) -> None:
    params = {
        "backbone": {
            "kind": "folder",
            "path": "model",
            "nano": {"corpus": [{"kind": "csv", "path": "text.csv"}, {"kind": "demo"}]},
        },
        "tasks": {
            "a": {"source": {"kind": "hub", "path": "owner/rows"}},
            "b": {"source": {"kind": "csv", "path": "b.csv"}},
            "c": {"source": {"kind": "demo", "task": "home"}},
        },
    }
    found = script.resolved(params, tmp_path)
    assert found["backbone"]["path"] == str(tmp_path / "model")
    assert found["backbone"]["nano"]["corpus"][0]["path"] == str(tmp_path / "text.csv")
    paths = [task["source"].get("path") for task in found["tasks"].values()]
    assert paths == ["owner/rows", str(tmp_path / "b.csv"), None]
    assert params["backbone"]["path"] == "model", "the example's own stay"


def test_two_runs_with_one_folder_are_refused(script: ModuleType) -> None:
    script.refuse_shared_folders(["lamol:0", "lamol:1"])
    for names in (["lamol:0:order=a,b-c", "lamol:0:order=a-b,c"], ["lamol:0", "lamol:0"]):
        with pytest.raises(SystemExit, match=naming(*names, script.folder_name(names[0]))):
            script.refuse_shared_folders(names)
