"""The whole pipeline under the real dvc, on tiny data: what runs again, and what does not."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lamol_core.methods.registry import METHODS
from tests.messages import mentions, names
from tests.stages.sequences import (
    NAMES,
    add_fruits,
    edit_params,
    keep_two,
    run,
    stages_changed,
    stages_run,
)

pytestmark = pytest.mark.slow


def test_a_second_repro_has_nothing_to_do(finished: Path) -> None:
    assert stages_run(run(finished, "dvc", "repro")) == []
    assert "up to date" in run(finished, "dvc", "status")


def test_every_stage_by_hand_leaves_the_same_bytes(sequence: Path) -> None:
    keep_two(sequence)
    assert stages_run(run(sequence, "dvc", "repro")) == ["report"]
    run(sequence, "lamol", "backbone")
    for task in NAMES[:2]:
        for stage in ("prepare", "snapshot", "generate", "audit", "mix", "train", "evaluate"):
            run(sequence, "lamol", stage, task)
    run(sequence, "lamol", "report")
    assert "up to date" in run(sequence, "dvc", "status")


@pytest.mark.parametrize("stage", ["prepare", "snapshot", "mix"])
def test_light_stages_never_import_torch(sequence: Path, stage: str) -> None:
    """Run for real, on the second task: the import is what such a stage would spend its time on."""
    script = (
        f"import sys; sys.argv = ['lamol', '{stage}', 'animals']\n"
        "from stages.cli import app\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'transformers', 'datasets', 'accelerate'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    run(sequence, sys.executable, "-c", script)


def test_an_appended_task_re_runs_nothing_earlier(sequence: Path, tmp_path: Path) -> None:
    """It is run in test_forget.py."""
    add_fruits(sequence, tmp_path)
    changed = stages_changed(run(sequence, "dvc", "status"))
    assert changed, "an appended task must run"
    assert {name for name in changed if not name.endswith("@fruits")} <= {"report"}


def test_a_new_temperature_re_runs_training_alone(sequence: Path) -> None:
    log = sequence / "runs" / "colours" / "train_log.csv"
    logged = log.read_bytes()
    keep_two(sequence)
    edit_params(sequence, lambda p: p["lamol_kd"].update(temperature=4.0))
    ran = stages_run(run(sequence, "dvc", "repro"))
    assert {"train@colours", "train@animals"} <= set(ran)
    # the first task distils nothing: it is trained again to the same bytes, and nothing follows
    assert log.read_bytes() == logged
    assert not {"generate@colours", "generate@animals", "backbone"} & set(ran)
    assert not [name for name in ran if name.startswith("prepare")]

    edit_params(sequence, lambda p: p["generate"].update(max_attempts=7))
    ran = stages_run(run(sequence, "dvc", "repro"))
    assert "generate@animals" in ran
    assert not [name for name in ran if name.startswith(("mix", "train"))], "the rows are the same"


@pytest.mark.long
def test_two_processes_train_one_student(sequence: Path) -> None:
    shutil.rmtree(sequence / "runs" / "animals" / "state")
    launch = ("env", "ACCELERATE_USE_CPU=true", sys.executable, "-m", "torch.distributed.run",
              "--standalone", "--nproc_per_node", "2", "-m")  # fmt: skip
    told = run(sequence, *launch, "stages.train", "animals", "--set", "train.epochs=2")
    assert told.count(".lamol/teacher/animals") == 2, "both trained"
    assert mentions(told, "runs/animals/student") == 1, "one of them tells"
    assert run(sequence, "lamol", "evaluate", "animals", "--set", "train.epochs=2")


def test_what_two_orders_begin_with_is_not_learnt_again(sequence: Path) -> None:
    run(sequence, "lamol", "orders", "colours,animals,sums", "colours,sums,animals")
    changed = stages_changed(run(sequence, "dvc", "status"))
    assert {"train@sums-2", "train@animals-2"} <= set(changed)
    assert {name.split("@")[-1] for name in changed} == {"sums-2", "animals-2", "report"}


@pytest.mark.long
def test_two_orders_are_two_chains(sequence: Path) -> None:
    run(sequence, "lamol", "orders", "colours,animals,sums", "colours,sums,animals")
    ran = stages_run(run(sequence, "dvc", "repro"))
    assert {name.split("@")[-1] for name in ran} == {"sums-2", "animals-2", "report"}
    summary = json.loads((sequence / "reports" / "summary.json").read_text())
    assert [chain["tasks"] for chain in summary["chains"]] == [
        ["colours", "animals", "sums"],
        ["colours", "sums-2", "animals-2"],
    ]


@pytest.mark.long
def test_forward_transfer_runs_evaluation_alone_again(sequence: Path) -> None:
    edit_params(sequence, lambda p: p["evaluate"].update(forward_transfer=True))
    ran = stages_run(run(sequence, "dvc", "repro"))
    assert {name.partition("@")[0] for name in ran} == {"evaluate", "report"}
    summary = json.loads((sequence / "reports" / "summary.json").read_text())
    figures = sequence / "reports" / "figures"
    measured = [json.loads((figures / f"{name}.evaluate.json").read_text()) for name in NAMES]
    assert "zero_shot" not in measured[0], "nothing is before the first task"
    scores = [one["zero_shot"] for one in measured[1:]]
    assert summary["forward_transfer"] == pytest.approx(
        sum(one["before"] - one["untrained"] for one in scores) / 2
    )


def test_rows_are_carried_over_from_table_to_table(sequence: Path) -> None:
    def rows(task: str) -> dict[str, dict]:
        table = pq.read_table(sequence / "runs" / task / "pseudo.parquet").to_pylist()
        return {row["row_id"]: row for row in table if row["valid"]}

    before, after = rows("animals"), rows("sums")
    old = {row_id: row for row_id, row in after.items() if row["source_task"] == "colours"}
    carried = {row_id: row for row_id, row in old.items() if row_id in before}
    assert carried and all(before[row_id] == row for row_id, row in carried.items())
    flags = pq.read_table(sequence / "runs" / "animals" / "audit" / "rows.parquet")
    copies = {flag["row_id"] for flag in flags.to_pylist() if flag["verdict"] == "copy"}
    assert not set(carried) & copies, "what repeats real rows is drawn anew"
    assert {row["source_task"] for row in after.values()} == {"colours", "animals"}
    figures = json.loads((sequence / "reports" / "figures" / "sums.generate.json").read_text())
    assert figures["carried"] == len(carried)
    assert figures["carried"] + figures["valid"] == len(after)
    summary = json.loads((sequence / "reports" / "summary.json").read_text())
    assert figures["kept_bytes"] == summary["kept_bytes"] > 50 * len(after)
    audit = json.loads((sequence / "runs" / "sums" / "audit" / "audit.json").read_text())
    assert audit["checks"]["provenance"]["verdict"] == "pass"
    assert "up to date" in run(sequence, "dvc", "status")
    run(sequence, "lamol", "generate", "animals", "--set", "seed=9")
    told = run(sequence, "lamol", "generate", "sums", expect=4)
    assert names(told, "runs/animals/audit", "another table", "dvc repro audit@animals")


@pytest.mark.parametrize("method", ["finetune", "ewc"])
def test_methods_without_pseudo_samples_draw_none(sequence: Path, method: str) -> None:
    for task in ("animals", "sums"):
        given = ("--set", f"method={method}", "--set", "generate.carry_over=false")
        told = run(sequence, "lamol", "generate", task, *given)
        assert names(told, 0, f"runs/{task}/pseudo.parquet")
        assert pq.read_metadata(sequence / "runs" / task / "pseudo.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("methods", "seeds"),
    [
        pytest.param(("derpp",), (1,), marks=pytest.mark.long, id="one"),
        pytest.param(tuple(METHODS), (1, 2), marks=pytest.mark.real, id="all"),  # takes long
    ],
)
def test_methods_from_the_queue_are_compared_with_the_run(
    sequence: Path, methods: tuple[str, ...], seeds: tuple[int, ...]
) -> None:
    keep_two(sequence)
    for path in (sequence / "params.yaml", sequence / "dvc.yaml"):
        path.write_text(path.read_text().replace("../", f"{sequence.parent}/"))  # in any copy
    run(sequence, "dvc", "repro")
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    run(sequence, *git, "init", "-q")
    run(sequence, "dvc", "config", "core.no_scm", "false")
    run(sequence, *git, "add", "-A")
    run(sequence, *git, "commit", "-q", "-m", "a run of lamol_kd")
    grid = ("method=" + ",".join(methods), "seed=" + ",".join(map(str, seeds)), "train.epochs=2")
    run(sequence, "dvc", "exp", "run", "--queue", *(word for one in grid for word in ("-S", one)))
    run(sequence, "dvc", "queue", "start")
    num_queued = len(methods) * len(seeds)
    deadline = time.monotonic() + 300 * num_queued
    try:
        while (status := run(sequence, "dvc", "queue", "status")).count("Success") < num_queued:
            assert "Failed" not in status and time.monotonic() < deadline, status
            time.sleep(2)
    finally:
        run(sequence, "dvc", "queue", "stop", "--kill")
    output = run(sequence, "lamol", "compare", "--json")
    compared = json.loads(next(line for line in output.splitlines() if line[:1] == "{"))
    runs = [(group["label"].partition(" ")[0], group["num_runs"]) for group in compared["groups"]]
    queued = [(method, len(seeds)) for method in methods]
    assert sorted(runs) == sorted([("lamol_kd", 1), *queued]), "its own run has other epochs"
