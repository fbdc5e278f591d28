"""What is drawn again, and until when."""

from __future__ import annotations

import pytest

from lamol_core.config import GenerateParams
from lamol_core.records import PseudoSample
from lamol_core.sampling.plan import DrawingPlan, Request


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
    places = plan.all_places()
    assert len(places) == 6
    samples = drawn(num_valid)
    assert len(plan.missing(places, samples, samples, 1)) == again
