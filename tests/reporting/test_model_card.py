"""The card beside a student: its sequence, its scores, the audits."""

from __future__ import annotations

from ruamel.yaml import YAML

from lamol_core.reporting.model_card import model_card

AUDIT = {
    "verdict": "warn",
    "verdicts": [
        {"task": "a", "verdict": "pass", "failed": [], "rows_kept": 0},
        {"task": "b", "verdict": "fail", "failed": ["drift", "validity"], "rows_kept": 40},
        {"task": "c", "verdict": "warn", "failed": [], "rows_kept": 60},
    ],
    "flagged_rows_dropped": True,
    "checks": {"drift": {"verdict": "warn", "rows_flagged": 0},
               "copies": {"verdict": "pass", "rows_flagged": 3}},
}  # fmt: skip


def test_it_tells_tasks_scores_and_verdicts() -> None:
    card = model_card(
        "lamol_kd", ["a", "b"], {"a": 90.0, "b": 80.5}, 85.25, {"a": 9, "b": 8}, AUDIT
    )
    front = YAML(typ="safe").load(card.split("---\n")[1])
    assert front["library_name"] == "transformers"
    assert 'tokenizer("an input of yours<|lamol:ans|>"' in card
    assert "| a | 90.0 | 9 |" in card and "| average | 85.2 |" in card
    assert "| b | 40 | fail | drift, validity |" in card and "| a | 0 |" not in card
    assert "Of the last: warn." in card and "without the flagged rows" in card
    assert "| copies | pass | 3 |" in card


def test_a_first_student_was_trained_on_none() -> None:
    card = model_card("ewc", ["a"], {"a": 90.0}, 90.0, {"a": 9}, {})
    assert "None were drawn" in card
