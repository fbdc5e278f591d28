"""What a stage refuses, with its exit code and the command that mends it."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamol_core.errors import ConfigError
from lamol_core.records import PSEUDO_SCHEMA
from stages.forget import forget
from tests.messages import names, naming
from tests.stages.sequences import add_fruits, edit_params, keep_two, run, stages_run, stored_rows

pytestmark = pytest.mark.slow


def test_a_changed_artefact_is_refused(sequence: Path) -> None:
    path = sequence / "runs" / "sums" / "pseudo.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    output = run(sequence, "lamol", "mix", "sums", expect=4)
    assert names(output, "runs/sums/pseudo.parquet", "dvc repro generate@sums")
    assert "Traceback" not in output
    assert "Traceback" in run(sequence, "lamol", "mix", "sums", "--debug", expect=4)


def test_a_row_that_was_edited_is_found_and_kept_out(sequence: Path) -> None:
    path = sequence / "runs" / "animals" / "pseudo.parquet"
    table = pq.read_table(path).to_pylist()
    first = next(row for row in table if row["valid"])
    first["input"] = "the zebra has = stripes"
    path.unlink()
    pq.write_table(pa.Table.from_pylist(table, schema=PSEUDO_SCHEMA), path)
    told = json.loads(run(sequence, "lamol", "audit", "animals", "--json").splitlines()[0])
    assert told["verdict"] == "fail" and "provenance" in told["failed"]
    flags = pq.read_table(sequence / "runs" / "animals" / "audit" / "rows.parquet").to_pylist()
    found = [flag["row_id"] for flag in flags if flag["reason"] == "edited_text"]
    assert found == [first["row_id"]]

    gate = ("lamol", "mix", "animals", "--set", "mix.gate=fail")
    output = run(sequence, *gate, expect=5)
    assert names(output, "provenance", "dvc repro generate@animals")
    assert "mix.drop_flagged" not in output and "mix.gate: warn" not in output
    told_so = run(sequence, "lamol", "mix", "animals", expect=4)
    assert names(told_so, "runs/animals/pseudo.parquet", "dvc repro generate@animals")
    assert "provenance" not in told_so, "nor is it told that it is trained on all the same"
    # rows that were edited with care can't be told from others: there is nothing to clean
    assert "without_flagged" not in told_by(sequence)
    drop = ("--set", "mix.drop_flagged=true")
    told_so = run(sequence, *gate, *drop, expect=4)
    assert names(told_so, "runs/animals/pseudo.parquet", "dvc repro generate@animals")
    path.unlink()
    pq.write_table(PSEUDO_SCHEMA.empty_table(), path)
    run(sequence, "lamol", "audit", "animals")
    assert told_by(sequence)["failed"] == ["provenance"], "all rows are gone"
    run(sequence, *gate, expect=5)

    run(sequence, "dvc", "checkout", "--force", "generate@animals")
    before = {row["row_id"] for row in pq.read_table(path).to_pylist() if row["valid"]}
    limits = ("--set", "audit.limits.truncated_share={warn: 0, fail: 1}")
    run(sequence, "lamol", "audit", "animals", *limits)
    told_so = run(sequence, "lamol", "mix", "animals", *drop)
    mixed = pq.read_table(sequence / "runs" / "animals" / "mix.parquet").to_pylist()
    flags = pq.read_table(sequence / "runs" / "animals" / "audit" / "rows.parquet").to_pylist()
    left = {row["row_id"] for row in mixed} & before
    assert left == before - {flag["row_id"] for flag in flags} and left
    assert names(told_so, len(before) - len(left), len(left))
    without = told_by(sequence)["without_flagged"]
    assert without["rows_kept"] == len(left)
    if without["failed"]:  # what no dropped row mends still stands in the way
        run(sequence, *gate, *drop, expect=5)

    run(sequence, "lamol", "generate", "animals", "--set", "seed=5")
    output = run(sequence, *gate, expect=4)
    assert names(output, "runs/animals/audit", "dvc repro audit@animals")
    output = run(sequence, "lamol", "train", "animals", expect=4)
    assert names(output, "runs/animals/mix.parquet", "pseudo", "dvc repro mix@animals")


def test_training_refuses_a_mix_of_other_rows_and_samples_of_another_teacher(
    sequence: Path,
) -> None:
    run(sequence, "lamol", "prepare", "animals", "--set", "prepare.split_seed=5")
    output = run(sequence, "lamol", "train", "animals", expect=4)
    assert names(output, "train.parquet", "dvc repro mix@animals")
    run(sequence, "lamol", "train", "colours", "--set", "train.steps=1")
    run(sequence, "lamol", "snapshot", "animals")
    output = run(sequence, "lamol", "train", "animals", expect=4)
    assert names(output, "teacher", "dvc repro generate@animals")


def test_an_adapter_does_not_follow_students_trained_as_a_whole(sequence: Path) -> None:
    told = run(sequence, "lamol", "train", "animals", "--set", "adapter.kind=lora", expect=3)
    assert names(told, "adapter.kind", "lora", "runs/animals/teacher")


def told_by(sequence: Path) -> dict:
    path = sequence / "runs" / "animals" / "audit" / "audit.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_missing_artefact_is_refused(sequence: Path) -> None:
    shutil.rmtree(sequence / "runs" / "animals" / "student")
    output = run(sequence, "lamol", "evaluate", "animals", expect=4)
    assert names(output, "runs/animals/student", "dvc repro train@animals")
    output = run(sequence, "lamol", "snapshot", "sums", expect=4)
    assert names(output, "runs/animals/student", "dvc repro train@animals")
    shutil.rmtree(sequence / "runs" / "base" / "student")
    assert "dvc repro backbone" in run(sequence, "lamol", "snapshot", "colours", expect=4)


def test_damaged_figures_are_found_before_anything_is_written(sequence: Path) -> None:
    (sequence / "reports" / "figures" / "animals.audit.json").write_text("{")
    page = sequence / "reports" / "index.html"
    page.unlink()
    output = run(sequence, "lamol", "report", expect=4)
    assert names(output, "animals.audit.json", "dvc repro audit@animals")
    assert not page.exists()


def test_tables_and_states_of_another_training_are_refused(sequence: Path) -> None:
    keep_two(sequence)
    for stage in ("generate", "audit", "mix"):
        run(sequence, "lamol", stage, "animals", "--set", "method=finetune")
    told = run(sequence, "lamol", "train", "animals", expect=4)
    assert names(told, "runs/animals/mix.parquet", "finetune", "lamol_kd", "lamol audit")
    run(sequence, "lamol", "generate", "animals")
    run(sequence, "lamol", "audit", "animals")
    run(sequence, "lamol", "mix", "animals", "--set", "method=multitask")
    told = run(sequence, "lamol", "train", "animals", expect=4)
    assert names(told, "runs/animals/mix.parquet", "multitask", "lamol mix")
    run(sequence, "lamol", "mix", "animals")
    run(sequence, "lamol", "train", "colours", "--set", "train.epochs=2")
    told = run(sequence, "lamol", "train", "animals", expect=4)
    assert names(told, "runs/colours/state", "lamol snapshot animals")


def test_a_diverged_training_writes_no_checkpoint(sequence: Path) -> None:
    before = (sequence / "runs" / "sums" / "student" / "manifest.json").read_bytes()
    output = run(
        sequence, "lamol", "train", "sums",
        "--set", "train.learning_rate=1e30", "--set", "train.max_grad_norm=1e30", expect=5,
    )  # fmt: skip
    assert "sums/train/" in output, "the rows of that step"
    assert (sequence / "runs" / "sums" / "student" / "manifest.json").read_bytes() == before


def test_too_few_valid_samples_end_with_their_reasons(sequence: Path) -> None:
    # no row of these tasks is as short, however well the teacher writes
    short = ("generate.format=reject", "generate.max_attempts=1", "text.max_input_tokens=1",
             "generate.judge=none", "generate.carry_over=false")  # fmt: skip
    options = [word for value in short for word in ("--set", value)]
    output = run(sequence, "lamol", "generate", "sums", *options, expect=5)
    assert names(output, "sums", "generate.max_attempts", 1)
    assert "up to date" in run(sequence, "dvc", "status", "generate@sums"), "nothing was lost"


@pytest.mark.long
def test_a_change_that_needs_forgotten_rows_can_be_undone(sequence: Path) -> None:
    run(sequence, "lamol", "forget", "animals")
    run(sequence, "git", "init", "-q")
    run(sequence, "git", "add", "params.yaml", "dvc.lock")
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    run(sequence, *git, "commit", "-q", "-m", "rows forgotten")
    edit_params(sequence, lambda p: p["generate"].update(gamma=0.4))
    told = run(sequence, "dvc", "repro", expect=255)
    assert stages_run(told)[-1] == "generate@animals" and names(told, ".lamol/forgotten/animals")
    for command in re.findall("`((?:git|dvc) .*?)`", told.replace("\n", " ")):
        run(sequence, *command.split())
    run(sequence, "lamol", "check")
    assert "up to date" in run(sequence, "dvc", "status")


def test_what_cannot_be_forgotten_is_refused(sequence: Path, tmp_path: Path) -> None:

    def refused(task: str, code: int, *options: str) -> str:
        before = stored_rows(sequence, "colours")
        told = run(sequence, "lamol", "forget", task, *options, expect=code)
        assert stored_rows(sequence, "colours") == before
        return told

    (sequence / "data" / "old").mkdir()
    assert names(refused("old", 3), "params.yaml", "data/old", "runs/old")
    told = refused("animals", 3, "--set", "method=multitask")
    assert names(told, "multitask", "animals")
    edit_params(sequence, lambda p: p["lamol_kd"].update(temperature=4.0))
    assert names(refused("animals", 4), "train@animals")
    edit_params(sequence, lambda p: p["lamol_kd"].update(temperature=2.0))
    edit_params(sequence, lambda p: p["backbone"].update(max_tasks=7))
    told = refused("animals", 4)
    assert names(told, "backbone"), "what it follows would run again, and then itself"
    edit_params(sequence, lambda p: p["backbone"].update(max_tasks=6))

    add_fruits(sequence, tmp_path)
    run(sequence, "lamol", "prepare", "fruits")
    assert names(refused("fruits", 4), "runs/fruits/student", "dvc repro train@fruits")

    train = sequence / "data" / "colours" / "train.parquet"
    rows = pq.read_table(train)
    pq.write_table(rows.slice(1), train)
    assert names(refused("colours", 4), "data/colours/train.parquet"), "not what it learnt"


@pytest.mark.long
def test_queued_experiments_still_have_the_rows(sequence: Path) -> None:
    run(sequence, "git", "init", "-q")
    run(sequence, "dvc", "config", "core.no_scm", "false")
    run(sequence, "git", "add", "-A")
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    run(sequence, *git, "commit", "-q", "-m", "a run")
    run(sequence, "dvc", "exp", "run", "--queue", "-S", "seed=1")
    before = stored_rows(sequence, "colours")
    assert names(run(sequence, "lamol", "forget", "colours", expect=4), 1, "dvc queue start")
    assert stored_rows(sequence, "colours") == before
    run(sequence, "dvc", "queue", "remove", "--queued")
    run(sequence, "lamol", "forget", "colours")
    assert stored_rows(sequence / "data", "colours") == {}


def test_a_source_that_may_not_be_written_is_told_before_anything_is_removed(
    sequence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours_csv = tmp_path / "colours.csv"
    before = stored_rows(sequence, "colours")
    monkeypatch.chdir(sequence)
    # not by chmod: root may write what it likes
    monkeypatch.setattr(os, "access", lambda path, mode: not Path(path).samefile(colours_csv))
    with pytest.raises(ConfigError, match=naming("colours.csv")):
        forget.__wrapped__("colours", empty_source=True)
    assert stored_rows(sequence, "colours") == before and colours_csv.read_bytes()
