"""What a run leaves: tables, checkpoints, audits, pages, and where real rows are."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamol_core.data.task_data import TaskData
from lamol_core.records import PSEUDO_SCHEMA, SPLITS
from tests.browser import needs_browser, open_page
from tests.messages import names
from tests.stages.sequences import NAMES, WORDS, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("targets", ["online", "offline"])
def test_what_a_teacher_left_for_training_is_gone_with_it(sequence: Path, targets: str) -> None:
    told = run(sequence, "lamol", "train", "animals", "--set", f"train.teacher_targets={targets}")
    assert (".lamol/teacher/animals" in told) == (targets == "offline")
    assert not (sequence / ".lamol" / "teacher" / "animals").exists()


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
    trained = json.loads((finished / "reports" / "figures" / "sums.train.json").read_text())
    assert trained["held"] == {
        task: {"rows": count, "classes": len({*WORDS[task][1]})} for task, count in counts.items()
    }
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


def test_the_page_sets_runs_side_by_side(sequence: Path, finished: Path) -> None:
    page = sequence / "reports" / "index.html"
    num_tables = page.read_text(encoding="utf-8").count("<table")
    told = run(sequence, "lamol", "report", "--compare", str(finished)).splitlines()
    matrix = [row for row, line in enumerate(told) if all(names(line, name) for name in NAMES)]
    assert matrix and names(told[-1], page), "it ends with the score matrix and the page's path"
    assert page.read_text(encoding="utf-8").count("<table") == num_tables + 1
    output = run(sequence, "lamol", "report", "--compare", "gone", expect=3)
    assert names(output, "gone", "reports/summary.json")


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
    assert names(output, "--verdict", "wrong")
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


def test_a_student_answers_as_in_its_evaluation_and_as_under_plain_transformers(
    finished: Path, tmp_path: Path
) -> None:
    run_folder = finished / "runs" / "sums"
    table = pq.read_table(run_folder / "predictions.parquet").to_pylist()
    answered = {row["row_id"]: row["prediction"] for row in table}
    rows = [row for name in NAMES for row in TaskData.load(finished / "data" / name).rows("test")]
    expected = [answered[row.row_id] for row in rows]
    assert len(set(expected)) > 1
    sums = ("lamol", "ask", "--task", "sums")
    output = run(finished, *sums, *(row.input for row in rows), "--json")
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["input"] for line in lines] == [row.input for row in rows]
    assert [line["answer"] for line in lines] == expected
    assert run(finished, *sums, rows[0].input).splitlines() == expected[:1]
    assert names(run(finished, *sums, " ", expect=2), "ask", "stdin")
    (tmp_path / "latin1").write_bytes("one\ntwo\nf\xfcnf\n".encode("latin-1"))
    from_file = f"lamol ask < {tmp_path / 'latin1'}"
    assert names(run(finished, "sh", "-c", from_file, expect=2), 3, "UTF-8")
    as_argument = f'lamol ask "$(cat {tmp_path / "latin1"})"'
    assert names(run(finished, "sh", "-c", as_argument, expect=2), "UTF-8")
    both = run(finished, *sums, rows[0].input, " ", rows[0].input).splitlines()
    assert both == [expected[0], "", expected[0]], "a line for each input"

    first, second = run(finished, "lamol", "ask", rows[0].input).splitlines()
    assert names(first, "sums") and second == expected[0], "the last student answers and is named"

    # the model card's own lines, in the student's folder
    card = (finished / "reports" / "cards" / "sums.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^    from transformers.*?(?=^##)", card, re.M | re.S)
    script = re.sub(
        r'"[^"]*<\|lamol:ans\|>"',
        lambda _: json.dumps(f"{rows[0].input}<|lamol:ans|>"),
        textwrap.dedent(script),
    )
    script += "\nprint(answer)"
    told = run(run_folder / "student", sys.executable, "-c", script)
    assert told.splitlines()[-1] == expected[0]
