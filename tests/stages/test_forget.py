"""`lamol forget` under the real dvc: the rows are gone from the disk, and nothing else changes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamol_core.artifacts.layout import Layout
from lamol_core.data.canaries import read_canaries
from lamol_core.data.task_data import TaskData
from lamol_core.privacy.removal import forget_rows
from tests.messages import mentions, names
from tests.stages.sequences import NAMES, add_fruits, edit_params, run, stages_run, stored_rows

pytestmark = pytest.mark.slow


def test_forgotten_rows_are_nowhere_and_nothing_runs_again(sequence: Path, tmp_path: Path) -> None:
    colours_csv = tmp_path / "colours.csv"
    assert len(stored_rows(sequence, "colours")) == 9, "train, dev and test, in three folders"
    student = (sequence / "runs" / "colours" / "student" / "model.safetensors").read_bytes()
    told = run(
        sequence, "lamol", "forget", "colours", "--empty-source",
        "--set", "forget.keep_fingerprint=true",
    )  # fmt: skip
    assert names(told, Layout(Path()).fingerprint_key)
    assert stored_rows(sequence, "colours") == {}
    assert colours_csv.read_bytes() == b""
    run(sequence, "lamol", "check")

    colours_csv.unlink()
    run(sequence, "dvc", "repro", expect=255)  # it removes runs/base, then misses the file
    told = run(sequence, "lamol", "check", expect=3)
    assert names(told, "dvc checkout", "lamol forget colours --empty-source")
    run(sequence, "dvc", "checkout")
    run(sequence, "lamol", "forget", "colours", "--empty-source")
    foreseen = run(sequence, "lamol", "check", "--set", "lamol_kd.temperature=4.0", expect=3)
    assert names(foreseen, "train@colours")
    same = run(sequence, "lamol", "check", "--set", "lamol_kd.temperature=2.0")
    assert not names(same, "evaluate@colours")
    foreseen = run(sequence, "lamol", "check", "--set", "evaluate.max_target_tokens=9")
    assert names(foreseen, *(f"evaluate@{task}" for task in NAMES), "colours")
    foreseen = run(sequence, "lamol", "check", "--set", "tasks.animals.metric=token_f1")
    assert names(foreseen, "evaluate@animals", "evaluate@sums", "colours")
    assert not names(foreseen, "evaluate@colours")
    for change in ("tasks.colours.metric=token_f1", "prepare.split_seed=3"):
        foreseen = run(sequence, "lamol", "check", "--set", change, expect=3)
        assert names(foreseen, "prepare@colours")
    edit_params(sequence, lambda p: p["lamol_kd"].update(temperature=4.0))
    assert names(run(sequence, "lamol", "check", expect=3), "train@colours")
    edit_params(sequence, lambda p: p["lamol_kd"].update(temperature=2.0))

    empty = sequence / "data" / "sums" / "seen" / "colours" / "train.parquet"
    said = json.loads(pq.read_schema(empty).metadata[b"lamol.forgotten"])
    assert said["rows"] == 32
    assert len(said["sha256"]) == 64
    assert (sequence / "runs" / "colours" / "student" / "model.safetensors").read_bytes() == student
    assert stages_run(run(sequence, "dvc", "repro")) == []
    for task in ("colours", "animals", "sums"):
        told = run(sequence, "lamol", "prepare", task)  # by hand it leaves the same bytes
        assert names(told, "0 train") == (task == "colours")
    audited = sequence / "runs" / "animals" / "audit" / "audit.json"
    before = audited.read_bytes(), audited.stat().st_mtime_ns
    run(sequence, "lamol", "audit", "animals")
    assert (audited.read_bytes(), audited.stat().st_mtime_ns) == before
    assert "up to date" in run(sequence, "dvc", "status")
    assert not names(run(sequence, "lamol", "forget", "colours"), said["rows"]), "gone before"

    add_fruits(sequence, tmp_path)
    ran = stages_run(run(sequence, "dvc", "repro"))
    assert {name for name in ran if not name.endswith("@fruits")} <= {"report"}
    assert stored_rows(sequence, "colours") == {}
    summary = json.loads((sequence / "reports" / "summary.json").read_text())
    assert summary["not_scored"] == ["colours"]
    assert summary["score_matrix"][-1][0] is None
    known = summary["score_matrix"][-1][1:]
    assert summary["final_average"] == pytest.approx(sum(known) / len(known))
    audit = json.loads((sequence / "runs" / "fruits" / "audit" / "audit.json").read_text())
    (note,) = audit["notes"]
    by_task = audit["checks"]["memorisation"]["by_task"]
    drawn = pq.read_table(sequence / "runs" / "fruits" / "pseudo.parquet").to_pylist()
    assert by_task["animals"]["nearest_similarity"] is not None
    assert by_task["colours"] == {"rows_told": 0.0, "copy_share": None}, (
        "its rows have four words, hashes five"
    )
    num_short = len([row for row in drawn if row["source_task"] == "colours" and row["valid"]])
    assert mentions(note, num_short) == 2 and audit["verdict"] != "pass", "all are too short"
    assert "colours" not in audit["judged_tasks"]


def test_held_out_rows_can_stay_and_go_later(sequence: Path) -> None:
    """It begins as if a forgetting was killed after the first folder, before DVC heard of it, with
    remains of earlier runs in hidden places."""
    own = TaskData.load(sequence / "data" / "animals")
    run(sequence, "dvc", "commit", "--force", "prepare@sums")
    assert set(stored_rows(sequence / ".dvc", "animals")) == set(), "nor in dvc's run cache"
    cached = sequence / ".dvc" / "cache" / "files" / "md5" / "ab"  # of a method that keeps rows
    scratch = sequence / "data" / ".animals.x1y2z3w4" / "replaced"
    state = sequence / "runs" / "sums" / ".state.x1y2z3w4" / "state"
    page = sequence / "runs" / "sums" / ".audit.x1y2z3w4" / "audit" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>a row of animals, of an audit that was killed</p>")
    memory = sequence / ".lamol" / "resume" / "sums" / "memory"
    for folder in (scratch, state, memory, cached):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(own.folder / "train.parquet", folder / "rows")
    remains = [path for path in stored_rows(sequence, "animals") if path.startswith(".")]
    assert len(remains) == 2, "in the cache, and of a training that was cut off"
    forget_rows(own, "animals", ("train",), "2026-01-01", {})

    both = ("--keep-held-out", "--empty-source")
    assert names(run(sequence, "lamol", "forget", "animals", *both, expect=2), *both)
    told = run(sequence, "lamol", "forget", "animals", "--keep-held-out")
    assert names(told, 1, ".lamol")
    assert not any(path.exists() for path in (scratch, state, page))
    assert {Path(path).name for path in stored_rows(sequence, "animals")} & {
        "train.parquet",
        "rows",
    } == set()
    assert own.forgotten("animals")["train"].forgotten_on == "2026-01-01"
    assert "up to date" in run(sequence, "dvc", "status")
    assert own.rows_left("animals", "test")

    run(sequence, "lamol", "forget", "animals")
    assert stored_rows(sequence, "animals") == {}
    assert "up to date" in run(sequence, "dvc", "status")


def test_nothing_is_trained_on_an_empty_table(sequence: Path) -> None:
    run(sequence, "lamol", "forget", "animals")
    before = (sequence / "runs" / "animals" / "mix.parquet").read_bytes()
    for stage in ("mix", "train"):
        told = run(sequence, "lamol", stage, "animals", expect=4)
        assert names(told, 32, ".lamol/forgotten/animals")
    assert (sequence / "runs" / "animals" / "mix.parquet").read_bytes() == before
    run(sequence, "lamol", "mix", "sums", "--set", "method=multitask", expect=4)
    folder = sequence / "data" / "animals"
    shutil.rmtree(folder)  # whoever did that: the rows do not come back
    told = run(sequence, "lamol", "prepare", "animals")
    assert names(told, ".lamol/forgotten/animals", "lamol prepare animals")
    assert stored_rows(sequence, "animals") == {}
    assert "up to date" in run(sequence, "dvc", "status")
    shutil.rmtree(sequence / ".lamol" / "forgotten" / "animals")
    run(sequence, "lamol", "prepare", "animals")
    assert len(TaskData.load(folder).rows("train")) == 32


@pytest.mark.long
def test_an_audit_by_hand_keeps_its_rows_until_dvc_has_made_it_again(sequence: Path) -> None:
    by_hand = ("--set", "audit.ask_teacher=true")
    assert names(run(sequence, "lamol", "audit", "animals", *by_hand), "DVC", "--set")
    assert not names(run(sequence, "lamol", "snapshot", "animals"), "--set")
    before = stored_rows(sequence, "colours")
    told = run(sequence, "lamol", "forget", "colours", expect=4)
    assert stored_rows(sequence, "colours") == before
    assert names(told, "audit@animals")
    (command,) = re.findall("`(dvc repro .*?)`", told)
    run(sequence, *command.split())
    run(sequence, "lamol", "forget", "colours")
    assert "up to date" in run(sequence, "dvc", "status")
    audit = json.loads((sequence / "runs" / "animals" / "audit" / "audit.json").read_text())
    assert audit["notes"] == [], "no rows were missing"


@pytest.mark.long
def test_planted_canaries_are_known_after_their_rows_are_gone(sequence: Path) -> None:
    edit_params(sequence, lambda p: p["prepare"].update(canaries=2))
    for later in ("sums", "animals"):  # their folders stay, and lose the rows too
        edit_params(sequence, lambda p, later=later: p["tasks"].pop(later))
    run(sequence, "dvc", "repro", "evaluate@colours")
    folder = sequence / "data" / "colours"
    planted = read_canaries(folder)
    assert len(planted) == 2
    run(sequence, "lamol", "forget", "colours")
    assert stored_rows(sequence, "colours") == {}
    shutil.rmtree(folder)
    run(sequence, "lamol", "prepare", "colours")
    assert read_canaries(folder) == planted
    assert stored_rows(folder, "colours") == {}


def test_where_rows_still_are_is_told(sequence: Path) -> None:
    """In what a model wrote, in another task of the same rows, in what `dvc exp` copied."""
    own = sequence / "data" / "colours" / "train.parquet"
    pseudo = sequence / "runs" / "animals" / "pseudo.parquet"
    samples = pq.read_table(pseudo)
    said = [{**row, "input": "red", "source_task": "animals"} for row in samples.to_pylist()]
    said[0] |= {"input": pq.read_table(own)["input"][0].as_py().upper(), "source_task": "colours"}
    pq.write_table(pa.Table.from_pylist(said, samples.schema), pseudo)
    run(sequence, "dvc", "commit", "--force", "-q")
    copied = sequence / ".dvc" / "tmp" / "exps" / "one" / "train.parquet"
    copied.parent.mkdir(parents=True)
    shutil.copy(own, copied)
    edit_params(
        sequence, lambda p: p["tasks"].update({"again": {**p["tasks"]["colours"], "after": "sums"}})
    )
    run(sequence, "lamol", "prepare", "again")

    told = run(sequence, "lamol", "forget", "colours")
    assert names(told, "runs/animals/pseudo.parquet", 1, "lamol forget again", "dvc exp")
    assert names(told, ".dvc/tmp/exps/one/train.parquet")
    assert copied.exists() and not stored_rows(sequence / "data" / "colours", "colours")


def test_rows_in_git_are_told_before_and_after(sequence: Path, tmp_path: Path) -> None:
    for command in (
        "init -q .", "add -f sequence/data/colours colours.csv",
        "-c user.name=n -c user.email=a@b commit -qm rows",
    ):  # fmt: skip
        run(tmp_path, "git", *command.split())
    assert names(run(sequence, "lamol", "check"), "Git holds data")
    told = run(sequence, "lamol", "forget", "colours")
    assert names(told, "Git holds data/colours", tmp_path / "colours.csv")
    assert not names(told, "Git holds data/animals/seen/colours")


def test_forgotten_rows_do_not_come_back_under_another_name(sequence: Path) -> None:
    """A renamed task, and the copies that `lamol orders` makes of one, read the same source."""
    run(sequence, "lamol", "forget", "colours")
    params = (sequence / "params.yaml").read_text()
    told = run(
        sequence, "lamol", "orders", "colours,animals,sums", "animals,colours,sums", expect=3
    )
    assert names(told, "params.yaml", "tasks.colours-2.source", "colours")
    assert (sequence / "params.yaml").read_text() == params

    def rename(params: dict) -> None:
        params["tasks"]["paints"] = params["tasks"].pop("colours")
        params["tasks"]["animals"]["after"] = "paints"

    edit_params(sequence, rename)
    for command in (("lamol", "check"), ("lamol", "prepare", "paints")):
        told = run(sequence, *command, expect=3)
        assert names(told, "tasks.paints.source", "colours")
    assert not (sequence / "data" / "paints").exists()
    shutil.rmtree(sequence / ".lamol" / "forgotten" / "colours")
    run(sequence, "lamol", "prepare", "paints")
