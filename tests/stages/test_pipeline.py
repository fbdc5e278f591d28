"""The whole pipeline under the real dvc, on tiny data: what runs again, and what does not."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamol_core.data.task_data import TaskData
from lamol_core.methods.registry import METHODS
from lamol_core.records import PSEUDO_SCHEMA, SPLITS
from tests.browser import needs_browser, open_page
from tests.messages import mentions, names
from tests.stages.sequences import NAMES, edit_params, run, stages_changed, stages_run, write_csv

pytestmark = pytest.mark.slow


def keep_two(sequence: Path) -> None:
    """Take the third task out, where two show as much in less time."""
    edit_params(sequence, lambda p: p["tasks"].pop("sums"))


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


@pytest.mark.parametrize("stage", ["prepare", "snapshot", "audit", "mix"])
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


@pytest.mark.parametrize("targets", ["online", "offline"])
def test_what_a_teacher_left_for_training_is_gone_with_it(sequence: Path, targets: str) -> None:
    told = run(sequence, "lamol", "train", "animals", "--set", f"train.teacher_targets={targets}")
    assert (".lamol/teacher/animals" in told) == (targets == "offline")
    assert not (sequence / ".lamol" / "teacher" / "animals").exists()


def test_an_appended_task_re_runs_nothing_earlier(sequence: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fruits.csv", "fruits")
    source = {"kind": "csv", "path": str(path)}
    edit_params(
        sequence, lambda p: p["tasks"].update({"fruits": {"after": "sums", "source": source}})
    )
    changed = stages_changed(run(sequence, "dvc", "status"))
    assert changed, "an appended task must run"
    assert {name for name in changed if not name.endswith("@fruits")} <= {"report"}

    ran = stages_run(run(sequence, "dvc", "repro"))
    assert {name for name in ran if not name.endswith("@fruits")} <= {"report"}
    assert "train@fruits" in ran
    summary = json.loads((sequence / "reports" / "summary.json").read_text())
    assert summary["tasks"] == [*NAMES, "fruits"]


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


def test_two_processes_train_one_student(sequence: Path) -> None:
    shutil.rmtree(sequence / "runs" / "animals" / "state")
    launch = ("env", "ACCELERATE_USE_CPU=true", sys.executable, "-m", "torch.distributed.run",
              "--standalone", "--nproc_per_node", "2", "-m")  # fmt: skip
    told = run(sequence, *launch, "stages.train", "animals", "--set", "train.epochs=2")
    assert told.count(".lamol/teacher/animals") == 2, "both trained"
    assert mentions(told, "runs/animals/student") == 1, "one of them tells"
    assert run(sequence, "lamol", "evaluate", "animals", "--set", "train.epochs=2")


def test_what_two_orders_begin_with_is_learnt_once(sequence: Path) -> None:
    run(sequence, "lamol", "orders", "colours,animals,sums", "colours,sums,animals")
    ran = stages_run(run(sequence, "dvc", "repro"))
    assert {"train@sums-2", "train@animals-2"} <= set(ran)
    assert {name.split("@")[-1] for name in ran} == {"sums-2", "animals-2", "report"}
    summary = json.loads((sequence / "reports" / "summary.json").read_text())
    assert [chain["tasks"] for chain in summary["chains"]] == [
        ["colours", "animals", "sums"],
        ["colours", "sums-2", "animals-2"],
    ]


def test_the_teacher_costs_no_second_copy(finished: Path) -> None:
    student = finished / "runs" / "colours" / "student" / "model.safetensors"
    teacher = finished / "runs" / "animals" / "teacher" / "model.safetensors"
    assert student.stat().st_ino == teacher.stat().st_ino
    copies = {
        path.stat().st_ino
        for path in finished.rglob("*")
        if path.is_file() and path.stat().st_size == student.stat().st_size
    }
    assert len(copies) == 1 + len(NAMES), "base and one a task: cache, teachers are links"


def test_artefacts_are_as_the_contract_says(finished: Path) -> None:
    from datasets import load_dataset

    path = str(finished / "runs" / "sums" / "pseudo.parquet")
    pseudo = load_dataset("parquet", data_files=path, split="train",
                          cache_dir=str(finished.parent / "datasets-cache"))  # fmt: skip
    assert pseudo.column_names == [
        "row_id", "source_task", "gen_index", "attempt", "input", "target", "input_ids",
        "target_ids", "valid", "reject_reason", "nll", "seed", "teacher_sha256", "label_idx_cil",
    ]  # fmt: skip
    valid = pseudo.filter(lambda row: row["valid"])
    counts = {task: valid["source_task"].count(task) for task in ("colours", "animals")}
    num_new = TaskData.load(finished / "data" / "sums").facts.num_rows["train"]
    assert sum(counts.values()) == int(0.2 * num_new)
    assert counts["colours"] - counts["animals"] in (0, 1), "the remainder goes to the earliest"
    assert set(pseudo["label_idx_cil"]) == {-1}

    mix = pq.read_table(finished / "runs" / "sums" / "mix.parquet")
    assert mix.column_names == ["order", "origin", "source_task", "row_id", "label_idx_cil"]
    assert mix.num_rows == num_new + sum(counts.values())
    assert pq.read_metadata(finished / "runs" / "colours" / "pseudo.parquet").num_rows == 0
    summary = json.loads((finished / "reports" / "summary.json").read_text())
    for key in ("method", "tasks", "score_matrix", "final_average", "incremental_average",
                "forgetting", "backward_transfer", "forward_transfer", "seconds",
                "peak_memory_bytes"):  # fmt: skip
        assert key in summary


def test_checkpoints_load_with_plain_transformers(finished: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = finished / "runs" / "sums" / "student"
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)


def test_real_rows_are_in_data_alone(finished: Path) -> None:
    written = {
        text
        for path in finished.glob("runs/*/pseudo.parquet")
        for text in pq.read_table(path)["input"].to_pylist()
    }
    for task in ("colours", "sums"):  # the rows that audits look at, and those that none does
        data = TaskData.load(finished / "data" / task)
        texts = {row.input for split in SPLITS for row in data.rows(split)} - written
        assert len(texts) > 30
        found = {path for path in finished.parent.rglob("*") if holds(path, texts)}
        inside = {path for path in found if path.is_relative_to(finished / "data")}
        assert {path.parent for path in inside} >= {finished / "data" / task}
        assert found - inside == {finished.parent / f"{task}.csv"}, "not in a cache, nor at home"


def holds(path: Path, texts: set[str]) -> bool:
    """Whether a file has one of the texts: a Parquet table (by its first bytes, whatever its name)
    among its cells, any other as plain bytes."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    if content[:4] == b"PAR1":
        columns = pq.read_table(path).to_pydict().values()
        return any(isinstance(cell, str) and cell in texts for cells in columns for cell in cells)
    # a sample may begin with a real row: its number goes on
    return any(re.search(re.escape(text).encode() + rb"(?!\d)", content) for text in texts)


def test_dvc_shows_metrics_plots_and_the_graph(finished: Path, tmp_path: Path) -> None:
    metrics = run(finished, "dvc", "metrics", "show")
    assert "metrics.json" in metrics and "final_average" in metrics
    run(finished, "dvc", "plots", "show", "--out", str(tmp_path))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "loss, sums" in page and "score_matrix" in page
    assert "train@sums" in run(finished, "dvc", "dag")


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


def test_the_page_sets_runs_side_by_side(sequence: Path, finished: Path) -> None:
    page = sequence / "reports" / "index.html"
    num_tables = page.read_text(encoding="utf-8").count("<table")
    run(sequence, "lamol", "report", "--compare", str(finished))
    assert page.read_text(encoding="utf-8").count("<table") == num_tables + 1
    output = run(sequence, "lamol", "report", "--compare", "gone", expect=3)
    assert names(output, "gone", "reports/summary.json")


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


def told_by(sequence: Path) -> dict:
    path = sequence / "runs" / "animals" / "audit" / "audit.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_rows_are_carried_over_from_table_to_table(sequence: Path) -> None:
    edit_params(sequence, lambda p: p["generate"].update(carry_over=True))
    ran = stages_run(run(sequence, "dvc", "repro"))
    assert "generate@sums" in ran and not any(name.startswith("backbone") for name in ran)

    def rows(task: str) -> dict[str, dict]:
        table = pq.read_table(sequence / "runs" / task / "pseudo.parquet").to_pylist()
        return {row["row_id"]: row for row in table if row["valid"]}

    before, after = rows("animals"), rows("sums")
    old = {row_id: row for row_id, row in after.items() if row["source_task"] == "colours"}
    carried = {row_id: row for row_id, row in old.items() if row_id in before}
    assert carried and all(before[row_id] == row for row_id, row in carried.items())
    flags = pq.read_table(sequence / "runs" / "animals" / "audit" / "rows.parquet")
    assert not set(carried) & set(flags["row_id"].to_pylist()), "what was flagged is drawn anew"
    assert {row["source_task"] for row in after.values()} == {"colours", "animals"}
    figures = json.loads((sequence / "reports" / "figures" / "sums.generate.json").read_text())
    assert figures["carried"] == len(carried)
    assert figures["carried"] + figures["valid"] == len(after)
    summary = json.loads((sequence / "reports" / "summary.json").read_text())
    assert figures["kept_bytes"] == summary["kept_bytes"] > 50 * len(after)
    audit = json.loads((sequence / "runs" / "sums" / "audit" / "audit.json").read_text())
    assert audit["checks"]["provenance"]["verdict"] == "pass"
    assert "up to date" in run(sequence, "dvc", "status")


@pytest.mark.parametrize("method", ["finetune", "ewc"])
def test_methods_without_pseudo_samples_draw_none(sequence: Path, method: str) -> None:
    for task in ("animals", "sums"):
        told = run(sequence, "lamol", "generate", task, "--set", f"method={method}")
        assert names(told, 0, f"runs/{task}/pseudo.parquet")
        assert pq.read_metadata(sequence / "runs" / task / "pseudo.parquet").num_rows == 0


def test_samples_are_shown_as_they_are(sequence: Path) -> None:
    path = sequence / "runs" / "animals" / "pseudo.parquet"
    table = pq.read_table(path).to_pylist()
    run(sequence, "lamol", "audit", "animals")
    assert names(run(sequence, "lamol", "samples", "animals", "--verdict", "unjudged"), 0)
    table[0]["input"] = "a [/b] zebra [red]has[/red]"
    path.unlink()
    pq.write_table(pa.Table.from_pylist(table, schema=PSEUDO_SCHEMA), path)
    shown = run(sequence, "lamol", "samples", "animals", "--grep", "zebra", "--format", "csv")
    assert "a [/b] zebra [red]has[/red]" in shown and table[0]["row_id"] in shown
    told = run(sequence, "lamol", "samples", "animals", "--grep", "zebra")
    assert "[/b]" in told
    # the audit that is there is that of another table
    assert names(told, "unjudged", "dvc repro audit@animals")
    output = run(sequence, "lamol", "samples", "animals", "--verdict", "odd", expect=2)
    assert names(output, "--verdict", "flagged")
    output = run(sequence, "lamol", "samples", "animals", "--task", "sums", expect=3)
    assert names(output, "--task", "sums", "runs/animals/pseudo.parquet", "colours")
    output = run(sequence, "lamol", "samples", "colours", "--task", "sums", expect=3)
    assert names(output, "--task", "sums", "runs/colours/pseudo.parquet")


def test_an_audit_tells_how_memory_fades(finished: Path) -> None:
    audits = {
        name: json.loads((finished / "runs" / name / "audit" / "audit.json").read_text())
        for name in NAMES
    }
    assert list(audits["colours"]["checks"]) == ["provenance"], "there are no rows"
    assert audits["colours"]["verdict"] == "pass"
    entries = [(one["for"], one["task"], one["age"]) for one in audits["sums"]["fading"]]
    assert entries == [("animals", "colours", 0), ("sums", "colours", 1), ("sums", "animals", 0)]
    picture = finished / "runs" / "sums" / "audit" / "fading.svg"
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    page = (finished / "runs" / "sums" / "audit" / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page and "unsafe-inline" not in page


@needs_browser
def test_the_page_that_a_run_leaves_opens_and_logs_nothing(finished: Path, browser: Any) -> None:
    open_page(browser, finished / "reports" / "index.html", width=390)
    shown = browser.find_element("tag name", "body").text
    summary = json.loads((finished / "reports" / "summary.json").read_text())
    assert f"{summary['final_average']:.1f}" in shown

    assert len(browser.find_elements("css selector", '[data-live="yes"]')) > 2
    assert browser.get_log("browser") == []


def test_a_missing_artefact_is_refused(sequence: Path) -> None:
    shutil.rmtree(sequence / "runs" / "animals" / "student")
    output = run(sequence, "lamol", "evaluate", "animals", expect=4)
    assert names(output, "runs/animals/student", "dvc repro train@animals")
    output = run(sequence, "lamol", "snapshot", "sums", expect=4)
    assert names(output, "runs/animals/student", "dvc repro train@animals")
    shutil.rmtree(sequence / "runs" / "base" / "student")
    assert "dvc repro backbone" in run(sequence, "lamol", "snapshot", "colours", expect=4)


def test_a_student_answers_as_in_its_evaluation_and_as_under_plain_transformers(
    finished: Path, tmp_path: Path
) -> None:
    run_folder = finished / "runs" / "sums"
    table = pq.read_table(run_folder / "predictions.parquet").to_pylist()
    answered = {row["row_id"]: row["prediction"] for row in table}
    rows = [row for name in NAMES for row in TaskData.load(finished / "data" / name).rows("test")]
    expected = [answered[row.row_id] for row in rows]
    assert len(set(expected)) > 1
    output = run(finished, "lamol", "ask", "sums", *(row.input for row in rows), "--json")
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["input"] for line in lines] == [row.input for row in rows]
    assert [line["answer"] for line in lines] == expected
    assert run(finished, "lamol", "ask", "sums", rows[0].input).splitlines() == expected[:1]
    assert names(run(finished, "lamol", "ask", "sums", " ", expect=2), "ask", "stdin")
    (tmp_path / "latin1").write_bytes("one\ntwo\nf\xfcnf\n".encode("latin-1"))
    from_file = f"lamol ask sums < {tmp_path / 'latin1'}"
    assert names(run(finished, "sh", "-c", from_file, expect=2), 3, "UTF-8")
    as_argument = f'lamol ask sums "$(cat {tmp_path / "latin1"})"'
    assert names(run(finished, "sh", "-c", as_argument, expect=2), "UTF-8")
    both = run(finished, "lamol", "ask", "sums", rows[0].input, " ", rows[0].input).splitlines()
    assert both == [expected[0], "", expected[0]], "a line for each input"

    # the model card's own lines, in the student's folder
    card = (finished / "reports" / "cards" / "sums.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^    from transformers.*?(?=^##)", card, re.M | re.S)
    script = re.sub(
        r'"[^"]*<\|lamol:ans\|>"',
        lambda _: json.dumps(f"{rows[0].input}<|lamol:ans|>"),
        textwrap.dedent(script),
    )
    told = run(run_folder / "student", sys.executable, "-c", script)
    assert told.splitlines()[-1] == expected[0]


def test_damaged_figures_are_found_before_anything_is_written(sequence: Path) -> None:
    (sequence / "reports" / "figures" / "animals.audit.json").write_text("{")
    page = sequence / "reports" / "index.html"
    page.unlink()
    output = run(sequence, "lamol", "report", expect=4)
    assert names(output, "animals.audit.json", "dvc repro audit@animals")
    assert not page.exists()


@pytest.mark.parametrize(
    ("methods", "seeds"),
    [
        (("derpp", "l2kd"), (1,)),
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


def test_wrong_parameters_are_told_all_at_once(sequence: Path) -> None:
    def spoil(params: dict) -> None:
        params["lamol_kd"]["temprature"] = 3
        params["tasks"]["sums"]["after"] = "animalz"

    edit_params(sequence, spoil)
    output = run(sequence, "lamol", "check", expect=3)
    assert names(output, "lamol_kd.temprature", "temperature")
    assert names(output, "tasks.sums.after", "animalz", "animals")
    told = run(sequence, "lamol", "train", "sums", expect=3)
    assert names(told, "tasks.sums.after", "animalz")
    edit_params(sequence, lambda p: p["tasks"]["sums"].update(after="animals"))
    told = run(sequence, "lamol", "train", "sums", expect=3)
    assert names(told, "lamol_kd.temprature", "temperature")


def test_a_missing_block_is_told_before_dvc_stops_at_it(sequence: Path) -> None:
    def leave_out(params: dict) -> None:
        for name in ("mix", "lamol_kd", "seed"):
            del params[name]

    edit_params(sequence, leave_out)
    output = run(sequence, "lamol", "check", expect=3)
    assert output.count("\n  - ") == 3 and names(output, "mix", "lamol_kd", "seed")
    assert run(sequence, "lamol", "mix", "sums"), "by hand a stage takes the defaults"


def test_check_tells_what_only_a_tokenizer_and_the_folders_know(
    sequence: Path, tmp_path: Path
) -> None:
    table = write_csv(tmp_path / "fruits.csv", "fruits")
    table.write_text(table.read_text().replace("sweet", "sweet as sugar and red as the sun"))
    fruits = {"after": "sums", "source": {"kind": "csv", "path": str(table)}}
    told = run(sequence, "lamol", "check", "--set", "text.max_length=8",
               "--set", f"tasks.fruits={json.dumps(fruits)}", expect=3)  # fmt: skip
    assert names(told, "tasks.fruits", 1, 2, "text.max_length", 8)
    (sequence / "runs" / "old" / "student").mkdir(parents=True)
    told = run(sequence, "lamol", "check", "--json")
    (hint,) = json.loads(told.splitlines()[0])["hints"]
    assert names(hint, "old", "runs/old") and hint in told.replace("check: ", "")


def test_an_estimate_counts_what_training_then_takes(finished: Path) -> None:
    """Before anything else runs, and keeps nothing: exact where no row is drawn."""
    output = run(finished, "lamol", "check", "--estimate", "--json")
    told = json.loads(output.splitlines()[-1])["estimate"]
    first, second, third = told["tasks"]
    figures = finished / "reports" / "figures"
    logged = json.loads((figures / "colours.train.json").read_text())
    assert (first["steps"], first["trained_tokens"]) == (
        logged["steps"],
        pytest.approx(logged["tokens"]),
    )
    logged = json.loads((figures / "sums.train.json").read_text())
    assert third["steps"] == logged["steps"]
    assert third["trained_tokens"] == pytest.approx(logged["tokens"], rel=0.15)
    assert told["seconds"] > second["train_s"] > 0
    assert "up to date" in run(finished, "dvc", "status")


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
    short = ("generate.format=reject", "generate.max_attempts=1", "text.max_input_tokens=1")
    options = [word for value in short for word in ("--set", value)]
    output = run(sequence, "lamol", "generate", "sums", *options, expect=5)
    assert names(output, "sums", "generate.max_attempts", 1)
    assert "up to date" in run(sequence, "dvc", "status", "generate@sums"), "nothing was lost"
