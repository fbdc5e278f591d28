"""What is drawn again, and until when."""

from __future__ import annotations

import pytest

from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request, draws_of_attempt
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


@pytest.mark.parametrize(
    ("refill", "attempt", "again"), [(True, 2, 4), (True, 4, 0), (False, 2, 0)]
)
def test_rejected_draws_are_repeated_until_the_attempts_end(
    refill: bool, attempt: int, again: int
) -> None:
    requests, params = [Request("a", 6)], GenerateParams(max_attempts=3, refill=refill)
    first = draws_of_attempt(requests, [], 1, params)
    assert [index for _, index in first] == list(range(6))
    repeated = draws_of_attempt(requests, drawn(2), attempt, params)
    assert [index for _, index in repeated] == [2, 3, 4, 5][:again]
