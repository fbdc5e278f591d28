"""What is drawn again, and until when."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import DrawingPlan, Request, assigned
from lamol_core.records import PseudoSample


def drawn(num_valid: int, size: int = 6) -> list[PseudoSample]:
    return [
        PseudoSample(
            f"new/pseudo/a/{i:06d}.1",
            "a",
            i,
            1,
            "x",
            "yes",
            [1],
            [2],
            i < num_valid,
            "",
            1.0,
            0,
            "",
        )
        for i in range(size)
    ]


@pytest.mark.parametrize(("num_valid", "again"), [(0, 6), (1, 6), (2, 0), (6, 0)])
def test_more_draws_a_row_are_no_more_rows_wanted(num_valid: int, again: int) -> None:
    """With known labels a task is drawn for until it has the rows that are wanted: what several
    draws a row gave beyond them is there to choose from."""
    request = Request("a", 5, 2, frozenset({"yes"}))
    plan = DrawingPlan(
        [request], GenerateParams(known_labels=True, draws_per_row=3, max_attempts=10)
    )
    draws = plan.all_draws()
    assert len(draws) == 6
    samples = drawn(num_valid)
    assert len(plan.next_draws(draws, samples, samples, 1)) == again


@pytest.mark.parametrize(
    ("labels", "num_before", "again"),
    [("aabb", 0, 0), ("aaab", 0, 4), ("aaaa", 0, 4), ("aaaa", 36, 0), ("aab", 36, 4)],
)
def test_labels_that_are_short_are_drawn_for_until_the_budget_ends(
    labels: str, num_before: int, again: int
) -> None:
    """Four rows of two labels are wanted: two of each. Rows that are missing have more time."""
    request = Request("a", 5, 4, frozenset({"a", "b"}))
    params = GenerateParams(known_labels=True, balance_labels=True, max_attempts=20)
    plan = DrawingPlan([request], params)
    draws = plan.all_draws()
    of_labels = [
        replace(s, target=labels[i]) for i, s in enumerate(drawn(len(labels), len(labels)))
    ]
    before = drawn(0, num_before)
    samples = [*before, *of_labels]
    assert len(plan.next_draws(draws, drawn(4, 4), samples, 2)) == again


@pytest.mark.parametrize(("carried", "again"), [("aaa", 4), ("bbb", 0), ("", 4), ("b" * 9, 0)])
def test_rows_carried_over_count_in_the_balance(carried: str, again: int) -> None:
    """Of the four that are drawn all are `a`: with three carried `b` nothing is short, nor with
    nine, beside which four `a` are all there can be."""
    request = Request("a", 5, 4, frozenset({"a", "b"}), Counter(carried))
    params = GenerateParams(known_labels=True, balance_labels=True, max_attempts=20)
    plan = DrawingPlan([request], params)
    samples = [replace(sample, target="a") for sample in drawn(4, 4)]
    assert len(plan.next_draws(plan.all_draws(), samples, samples, 1)) == again


@pytest.mark.parametrize(
    ("labels", "task", "reason"),
    [
        ({"a": "yes", "b": "yes", "c": "yes"}, "a", ""),
        ({"a": "no", "b": "yes", "c": "no"}, "b", ""),
        ({"a": "no", "b": "yes", "c": "yes"}, "a", "ambiguous_label"),
        ({"a": "no", "b": "no", "c": "no"}, "a", "unknown_label"),
    ],
)
def test_a_label_is_its_prompts_own_or_that_of_one_other_task(
    labels: dict[str, str], task: str, reason: str
) -> None:
    requests = [Request(name, 5, 1, frozenset({label})) for name, label in labels.items()]
    found = assigned(drawn(1, 1)[0], requests)
    assert (found.source_task, found.reject_reason, found.valid) == (task, reason, not reason)
