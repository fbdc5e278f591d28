"""How many pseudo rows of each earlier task are wanted, and how they are shared."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamol_core.generation.params import GenerateParams
from lamol_core.generation.quotas import draw_num_answers, rows_wanted, share_evenly
from lamol_core.records import TaskFacts


def shares(gamma: float, num_new: int, num_tasks: int = 1) -> list[int]:
    """Rows wanted of tasks of free text, the oldest first."""
    new = TaskFacts("new", "rouge_l", "text", (), {"train": num_new})
    earlier = [replace(new, name=f"task{i:02d}") for i in range(num_tasks)]
    wanted = rows_wanted(GenerateParams(gamma=gamma), new, earlier)
    assert list(wanted) == sorted(wanted), "the oldest first"
    return list(wanted.values())


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
    assert shares(gamma, num_new) == [expected]


@given(st.decimals(min_value=0, max_value=5, places=3), st.integers(min_value=0, max_value=100_000))
def test_floor_of_the_written_number(gamma: Decimal, num_new: int) -> None:
    assert shares(float(gamma), num_new) == [Fraction(gamma) * num_new // 1]


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=1, max_value=40))
def test_shares_are_even_and_the_oldest_get_the_rest(total: int, num_tasks: int) -> None:
    found = shares(1.0, total, num_tasks)
    assert len(found) == num_tasks and sum(found) == total
    assert found == sorted(found, reverse=True) and found[0] - found[-1] <= 1


def test_no_earlier_task_no_share() -> None:
    assert shares(1.0, 7, 0) == []
    assert shares(1.0, 7, 3) == [3, 2, 2]


def test_rows_are_wanted_by_the_classes_that_were_learnt() -> None:
    """Not by one that test rows alone have. Free text has none: its share of gamma is all."""
    classes = TaskFacts("a", "accuracy", "classes", ("x", "y", "z"), {"train": 40}, 2)
    text = TaskFacts("b", "rouge_l", "text", (), {"train": 40})
    new = TaskFacts("c", "accuracy", "classes", ("v", "w"), {"train": 25})
    wanted = rows_wanted(GenerateParams(gamma=0.2), new, [classes, text])
    assert wanted == {"a": 3, "b": 2} and list(wanted) == ["a", "b"], "oldest first"
    held = GenerateParams(gamma=0.2, rows_per_class=4)
    assert rows_wanted(held, new, [classes, text]) == {"a": 8, "b": 2}
    assert rows_wanted(held, new, []) == {}


def test_rows_are_drawn_where_either_asks_for_them() -> None:
    assert GenerateParams(gamma=0.1, rows_per_class=0).draws
    assert GenerateParams(gamma=0.0, rows_per_class=1).draws
    assert not GenerateParams(gamma=0.0, rows_per_class=0).draws


@pytest.mark.parametrize(
    ("count", "existing", "shares"),
    [
        (6, {}, [2, 2, 2]),
        (7, {}, [3, 2, 2]),
        (2, {}, [1, 1, 0]),
        (4, {"a": 2}, [0, 2, 2]),
        (3, {"a": 9, "foreign": 5}, [0, 2, 1]),
        (0, {}, [0, 0, 0]),
    ],
)
def test_labels_get_equal_numbers_with_the_rows_that_are_there(
    count: int, existing: dict[str, int], shares: list[int]
) -> None:
    assert share_evenly(["a", "b", "c"], count, existing) == dict(zip("abc", shares, strict=True))


def test_numbers_of_answers_are_drawn_from_the_tasks_own() -> None:
    shares = {1: 60, 2: 20, 5: 20}
    drawn = draw_num_answers(shares, 4000, 9, seed=0)
    assert {*drawn} == {1, 2, 5}
    assert abs(drawn.count(1) / 4000 - 0.6) < 0.04
    assert draw_num_answers(shares, 10, 9, seed=0) == drawn[:10]
    assert draw_num_answers(shares, 10, 9, seed=1) != drawn[:10]
    assert draw_num_answers(shares, 4000, 3, seed=0) == tuple(min(n, 3) for n in drawn)
