"""The card beside a student: its sequence, its scores, the audits."""

from __future__ import annotations

from ruamel.yaml import YAML

from lamol_core.reporting.model_card import model_card
from tests.messages import mentions, names

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

SCORED = ("lamol_kd", ["a", "b"], {"a": 90.0, "b": 80.5}, 85.25, {"a": 9, "b": 8})


def test_it_tells_tasks_scores_and_verdicts() -> None:
    card = model_card(*SCORED, AUDIT)
    front = YAML(typ="safe").load(card.split("---\n")[1])
    assert front["library_name"] == "transformers"
    assert '<|lamol:ans|>"' in card
    assert "| a | 90.0 | 9 |" in card and "| 85.2 |" in card
    assert "| b | 40 | fail | drift, validity |" in card and "| a | 0 |" not in card
    assert mentions(card, "warn") == 3, "of c, of drift, and of the last as a whole"
    assert names(model_card(*SCORED, AUDIT, num_dropped=7), 7) and not names(card, 7)
    assert "| copies | pass | 3 |" in card


def test_a_first_student_was_trained_on_none() -> None:
    card = model_card("ewc", ["a"], {"a": 90.0}, 90.0, {"a": 9}, {})
    assert "| a | 90.0 | 9 |" in card
    assert not any(names(card, verdict) for verdict in ("pass", "warn", "fail"))
