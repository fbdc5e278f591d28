"""How many pseudo rows are drawn, and how earlier tasks share them."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamol_core.generation.quotas import num_pseudo_rows, share_evenly


@pytest.mark.parametrize(
    ("gamma", "num_new", "expected"),
    [
        (0.29, 100, 29),  # in binary 0.29 * 100 = 28.999999999999996
        (0.57, 100, 57),  # 56.99999999999999
        (0.2, 7, 1),
        (0.2, 4, 0),
        (0.0, 1000, 0),
        (1.5, 3, 4),
        (1e-05, 100_000, 1),
        (2, 10, 20),
    ],
)
def test_floor_is_taken_in_decimal(gamma: float, num_new: int, expected: int) -> None:
    assert num_pseudo_rows(gamma, num_new) == expected


@given(st.decimals(min_value=0, max_value=5, places=3), st.integers(min_value=0, max_value=100_000))
def test_floor_of_the_written_number(gamma: Decimal, num_new: int) -> None:
    assert num_pseudo_rows(float(gamma), num_new) == Fraction(gamma) * num_new // 1


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=1, max_value=40))
def test_shares_are_even_and_the_oldest_get_the_rest(total: int, num_tasks: int) -> None:
    shares = share_evenly(total, num_tasks)
    assert len(shares) == num_tasks and sum(shares) == total
    assert shares == sorted(shares, reverse=True) and shares[0] - shares[-1] <= 1


def test_no_earlier_task_no_share() -> None:
    assert share_evenly(0, 0) == []
    assert share_evenly(7, 3) == [3, 2, 2]
