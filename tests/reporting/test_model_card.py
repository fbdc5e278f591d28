"""The card of a student: its sequence, its scores, the audits."""

from __future__ import annotations

from dataclasses import replace

from ruamel.yaml import YAML

from lamol_core.reporting.report import model_card
from tests.messages import mentions, names
from tests.reporting.test_summary import figures

AUDIT = {
    "verdict": "warn",
    "verdicts": [
        {"task": "a", "verdict": "pass", "failed": [], "rows_kept": 0},
        {"task": "b", "verdict": "fail", "failed": ["drift", "validity"], "rows_kept": 40},
        {"task": "c", "verdict": "warn", "failed": [], "rows_kept": 60},
    ],
    "checks": {"drift": {"verdict": "warn", "rows_flagged": 0},
               "copies": {"verdict": "pass", "rows_flagged": 3}},
}  # fmt: skip

STUDENT = figures("b", "a", [90.0, 80.5], ["a"], num_test_rows={"a": 9, "b": 8}, audit=AUDIT)
STUDENT = replace(STUDENT, method="lamol_kd")


def test_it_tells_tasks_scores_and_verdicts() -> None:
    card = model_card(STUDENT)
    front = YAML(typ="safe").load(card.split("---\n")[1])
    assert front["library_name"] == "transformers"
    assert '<|lamol:ans|>"' in card
    assert "| a | 90.0 | 9 |" in card and "| 85.2 |" in card
    assert "| b | 40 | fail | drift, validity |" in card and "| a | 0 |" not in card
    assert mentions(card, "warn") == 3, "of c, of drift, and of the last as a whole"
    without = model_card(replace(STUDENT, pseudo={**STUDENT.pseudo, "flagged_dropped": 7}))
    assert names(without, 7) and not names(card, 7)
    assert "| copies | pass | 3 |" in card


def test_a_chat_model_is_asked_as_one() -> None:
    card = model_card(STUDENT, "chat")
    assert (
        "<|lamol:ans|>" not in card
        and "pipeline(" in card
        and "pipeline(" not in model_card(STUDENT)
    )


def test_a_first_student_was_trained_on_none() -> None:
    card = model_card(replace(figures("a", "base", [90.0]), method="ewc"))
    assert "| a | 90.0 | 10 |" in card
    assert not any(names(card, verdict) for verdict in ("pass", "warn", "fail"))


def test_an_average_is_of_the_tasks_that_were_scored() -> None:
    card = model_card(replace(figures("b", "a", [None, 80.5], ["a"]), method="lamol_kd"))
    assert "| a |  | 10 |" in card and "| average | 80.5 |" in card
    assert "| average |  |" in model_card(replace(figures("a", "base", [None]), method="lamol_kd"))
