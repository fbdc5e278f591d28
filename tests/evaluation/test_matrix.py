"""Score matrix: a matrix worked out by hand, and the edges."""

import math

import pytest

from lamol_core.errors import ArtifactError
from lamol_core.evaluation.matrix import ScoreMatrix, ZeroShot, forward_transfer
from tests.messages import naming

MATRIX = ScoreMatrix(("a", "b", "c"), ((80.0,), (90.0, 70.0), (60.0, 75.0, 90.0)))


def test_by_hand() -> None:
    assert MATRIX.final_average() == pytest.approx(75.0)  # (60 + 75 + 90) / 3
    assert MATRIX.incremental_average() == pytest.approx((80 + 80 + 75) / 3)
    # a: best before the end is 90, not its first 80; b: only 70 counts, so it gained 5
    assert MATRIX.forgetting_by_task() == pytest.approx({"a": 30.0, "b": -5.0})
    assert MATRIX.forgetting() == pytest.approx(12.5)
    assert MATRIX.backward_transfer() == pytest.approx(-7.5)  # ((60 - 80) + (75 - 70)) / 2


def test_forgotten_test_rows_leave_gaps_that_no_mean_counts() -> None:
    gap = ScoreMatrix(("a", "b", "c"), ((80.0,), (90.0, 70.0), (None, 75.0, 90.0)))
    assert gap.not_scored() == ["a"] and MATRIX.not_scored() == []
    assert gap.final_average() == pytest.approx(82.5)
    assert gap.incremental_average() == pytest.approx((80 + 80 + 82.5) / 3)
    assert gap.forgetting_by_task() == pytest.approx({"b": -5.0})
    assert gap.backward_transfer() == pytest.approx(5.0)
    none_left = ScoreMatrix(("a", "b"), ((80.0,), (None, 75.0)))
    assert none_left.forgetting() is None and none_left.backward_transfer() is None
    early = ScoreMatrix(("a", "b"), ((None,), (None, 75.0)))
    assert early.incremental_average() == early.final_average() == 75.0
    nothing = ScoreMatrix(("a",), ((None,),))
    assert nothing.final_average() is None and nothing.incremental_average() is None
    middle = ScoreMatrix(("a", "b", "c"), ((80.0,), (None, 70.0), (60.0, 75.0, 90.0)))
    assert middle.not_scored() == ["a"], "an average has a hole, whatever the last row has"


def test_forward_transfer_by_hand() -> None:
    measured = [ZeroShot(before=40.0, untrained=30.0), ZeroShot(before=20.0, untrained=25.0)]
    assert forward_transfer(measured) == pytest.approx(2.5)
    assert forward_transfer([*measured, None]) is None
    assert forward_transfer([]) is None


def test_one_task() -> None:
    matrix = ScoreMatrix(("a",), ((55.0,),))
    assert matrix.final_average() == matrix.incremental_average() == 55.0
    assert matrix.forgetting() is None
    assert matrix.backward_transfer() is None
    assert matrix.forgetting_by_task() == {}


def test_last_row_is_not_among_the_best() -> None:
    """A task that ends at its best has negative forgetting, not 0."""
    assert ScoreMatrix(("a", "b"), ((50.0,), (60.0, 1.0))).forgetting() == pytest.approx(-10.0)


@pytest.mark.parametrize(
    ("tasks", "rows", "named"),
    [
        (("a", "b"), ((1.0,), (math.nan, 2.0)), ["'a'", "'b'", "nan", "dvc repro evaluate@b"]),
        (("a",), ((100.5,),), [100.5, "dvc repro evaluate@a"]),
        (("a",), ((-1.0,),), [-1.0, "dvc repro evaluate@a"]),
    ],
)
def test_refused(tasks: tuple[str, ...], rows: tuple[tuple[float, ...], ...], named: list) -> None:
    with pytest.raises(ArtifactError, match=naming(*named)):
        ScoreMatrix(tasks, rows)
