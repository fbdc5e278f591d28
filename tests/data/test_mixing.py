"""How many pseudo rows, how they are shared, and the mixed order."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamol_core.data.mixing import mix_rows, num_pseudo_rows, share_evenly
from lamol_core.records import Example, PseudoSample

REAL = [Example(f"b/train/{i:06d}", "b", f"x{i}", "y", 40 + i) for i in range(30)]


def pseudo(index: int, task: str, valid: bool = True) -> PseudoSample:
    return PseudoSample(
        row_id=f"b/pseudo/{task}/{index:06d}.1",
        source_task=task,
        gen_index=index,
        attempt=1,
        input="x",
        target="y",
        input_ids=[1],
        target_ids=[2],
        valid=valid,
        reject_reason="" if valid else "no_ans",
        nll=1.0,
        seed=0,
        teacher_sha256="0",
    )


PSEUDO = [pseudo(i, task, valid=i != 2) for task in ("a", "z") for i in range(5)]


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


def test_mix_holds_every_real_and_every_valid_pseudo_row_once() -> None:
    rows = mix_rows(REAL, PSEUDO, "b", seed=0)
    valid = [sample for sample in PSEUDO if sample.valid]
    assert [row.order for row in rows] == list(range(len(REAL) + len(valid)))
    new = {(r.row_id, r.source_task, r.label_idx_cil) for r in rows if r.origin == "new"}
    assert new == {(r.row_id, r.task, r.label_idx_cil) for r in REAL}
    drawn = {(r.row_id, r.source_task, r.label_idx_cil) for r in rows if r.origin == "pseudo"}
    assert drawn == {(s.row_id, s.source_task, -1) for s in valid}
    assert len(rows) == len(new) + len(drawn)


def test_order_depends_on_seed_and_task_alone() -> None:
    def ids(seed: int, task: str) -> list[str]:
        return [row.row_id for row in mix_rows(REAL, PSEUDO, task, seed)]

    assert ids(0, "b") == ids(0, "b")
    assert ids(0, "b") != ids(1, "b")
    assert ids(0, "b") != ids(0, "c")


def test_pseudo_rows_are_spread_over_the_mix() -> None:
    first_half = Counter(row.origin for row in mix_rows(REAL, PSEUDO, "b", 0)[:19])
    assert first_half["new"] > 0 and first_half["pseudo"] > 0
