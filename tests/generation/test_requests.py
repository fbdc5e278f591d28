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
    assert len(plan.draws([], 1)) == 6
    assert len(plan.draws(drawn(num_valid), 2)) == again


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
    of_labels = [
        replace(s, target=labels[i]) for i, s in enumerate(drawn(len(labels), len(labels)))
    ]
    before = drawn(0, num_before)
    samples = [*before, *of_labels]
    assert len(plan.draws(samples, 3)) == again


@pytest.mark.parametrize(("carried", "again"), [("aaa", 4), ("bbb", 0), ("", 4), ("b" * 9, 0)])
def test_rows_carried_over_count_in_the_balance(carried: str, again: int) -> None:
    """Of the four that are drawn all are `a`: with three carried `b` nothing is short, nor with
    nine, beside which four `a` are all there can be."""
    request = Request("a", 5, 4, frozenset({"a", "b"}), Counter(carried))
    params = GenerateParams(known_labels=True, balance_labels=True, max_attempts=20)
    plan = DrawingPlan([request], params)
    samples = [replace(sample, target="a") for sample in drawn(4, 4)]
    assert len(plan.draws(samples, 2)) == again


@pytest.mark.parametrize(
    ("refill", "attempt", "again"), [(True, 2, 4), (True, 4, 0), (False, 2, 0)]
)
def test_rejected_draws_are_repeated_until_the_attempts_end(
    refill: bool, attempt: int, again: int
) -> None:
    plan = DrawingPlan([Request("a", 5, 6)], GenerateParams(max_attempts=3, refill=refill))
    assert [index for _, index in plan.draws([], 1)] == list(range(6))
    assert [index for _, index in plan.draws(drawn(2), attempt)] == [2, 3, 4, 5][:again]


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
