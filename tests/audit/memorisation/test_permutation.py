"""The excess over chance: its interval covers 0 where no memory is, and finds it where it is."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lamol_core.audit.memorisation.permutation import (
    Excess,
    Pool,
    Shares,
    cut_blocks,
    excess_of,
    pooled_excesses,
)

TRIALS = 200


def pool(train: int, held_out: int, tasks: int = 1) -> Pool:
    each = np.arange(train + held_out) < train
    return Pool(np.repeat(np.arange(tasks), train + held_out), np.tile(each, tasks))


def given(generator: np.random.Generator, rows: Pool, memory: int = 0) -> np.ndarray:
    """Copies of rows, some rows far oftener than others, and so many more of training rows."""
    likelihood = generator.gamma(0.3, size=len(rows))
    hits = generator.choice(len(rows), size=30, p=likelihood / likelihood.sum())
    more = generator.choice(np.flatnonzero(rows.trained), size=memory, replace=False)
    return np.bincount([*hits, *more], minlength=len(rows)).astype(float)


def excess(copies: np.ndarray, rows: Pool, seed: int = 0, among: int = 1) -> Excess:
    found = excess_of(copies, rows, copies.sum() / 200, seed, among)
    assert found is not None
    return found


@pytest.mark.parametrize(("train", "held_out"), [(200, 200), (200, 60), (500, 30)])
def test_without_memory_the_interval_covers_zero(train: int, held_out: int) -> None:
    generator, rows = np.random.default_rng(0), pool(train, held_out)
    found = [excess(given(generator, rows), rows, seed) for seed in range(TRIALS)]
    above = sum(one.low > 1e-9 for one in found)
    assert above <= 0.05 * TRIALS, "1 in 40 is meant"
    assert all(-1 <= one.low <= one.mean <= one.high <= 1 for one in found)
    assert abs(np.mean([one.mean for one in found])) < 0.05


def test_memory_is_found_in_its_size() -> None:
    generator, rows = np.random.default_rng(0), pool(200, 100)
    found = [excess(given(generator, rows, memory=40), rows, seed) for seed in range(TRIALS)]
    assert sum(one.low > 0.01 for one in found) > 0.9 * TRIALS
    assert np.mean([one.mean for one in found]) == pytest.approx(40 / 200, abs=0.02)
    assert sum(one.low <= 0.2 <= one.high for one in found) > 0.9 * TRIALS


def test_of_many_figures_few_are_above_zero() -> None:
    generator, rows = np.random.default_rng(0), pool(200, 100)
    families = 40
    above = sum(
        any(excess(given(generator, rows), rows, seed, 14).low > 1e-9 for seed in range(14))
        for _ in range(families)
    )
    assert above <= 0.1 * families, "1 in 40 is meant; without it it is 1 in 5"


def test_one_row_that_all_repeat_is_one_chance() -> None:
    rows = pool(100, 100)
    assert excess(np.eye(200)[0] * 150, rows).low <= 0
    assert excess((np.arange(200) < 30) * 5.0, rows).low > 0.4


def test_tasks_are_permuted_apart() -> None:
    """A task with few held-out rows has more of the hits: that is no memory."""
    both = Pool(np.repeat([0, 1], 100), np.concatenate([np.arange(100) < 95, np.arange(100) < 5]))
    hits = np.concatenate([np.ones(100), np.zeros(100)])
    assert excess(hits, both).mean == pytest.approx(0.0, abs=1e-9)
    assert excess(hits * both.trained, both).low > 0


def test_each_task_counts_by_its_own_chance() -> None:
    """Memory has its size where tasks have more and fewer held-out rows."""
    trained = np.concatenate([np.arange(110) < 100, np.arange(200) < 100])
    both = Pool(np.repeat([0, 1], [110, 200]), trained)
    for task in (0, 1):
        copies = np.zeros(310)
        copies[np.flatnonzero(trained & (both.task == task))[:20]] = 1
        copies[np.flatnonzero(both.task != task)] = 0.2  # chance: evenly over the other's rows
        assert excess(copies, both).mean == pytest.approx(20 / 200, abs=0.01)


def test_weight_of_a_task_without_held_out_rows_is_no_memory() -> None:
    trained = np.concatenate([np.arange(20) < 10, np.ones(20, bool)])
    both = Pool(np.repeat([0, 1], 20), trained)
    copies = np.tile(np.arange(20) < 10, 2).astype(float)
    found = excess_of(copies, both, 0.2, seed=0)
    assert found is not None and found.mean == pytest.approx(0.1), "half of the weight is known"


def test_nothing_is_said_where_nothing_tells_memory_from_chance() -> None:
    assert excess_of(np.ones(5), Pool(np.zeros(5, int), np.ones(5, bool)), 0.1, 0) is None
    half = Pool(np.repeat([0, 1], 5), np.array([True] * 5 + [True, False] * 2 + [True]))
    assert excess_of(np.repeat([1.0, 0.0], 5), half, 0.1, 0) is None
    assert excess_of(np.zeros(10), half, 0.0, 0) == Excess(0.0, 0.0, 0.0)


def test_weight_is_given_in_equal_parts() -> None:
    shares = Shares(np.array([1.0, 0.5, 2.0, 9.0]), np.array([0, 0, 1, -1]), [[0, 2], [1]])
    everyone = np.ones(4, bool)
    assert shares.received(everyone, 4).tolist() == [0.75, 2.0, 0.75, 0.0]
    assert shares.received(np.array([True, False, False, True]), 4).tolist() == [0.5, 0, 0.5, 0]


def test_the_same_seed_gives_the_same_interval() -> None:
    rows = pool(50, 30)
    copies = given(np.random.default_rng(1), rows)
    assert excess(copies, rows, 3) == excess(copies, rows, 3)


@pytest.mark.parametrize(
    ("train", "held_out", "blocks"),
    [(400, 160, (40, 16)), (200, 40, (40, 8)), (30, 12, (5, 2)), (10, 3, (0, 0)), (5, 80, (1, 16))],
)
def test_blocks_are_of_one_size(train: int, held_out: int, blocks: tuple[int, int]) -> None:
    texts = [str(i) for i in range(train + held_out)]
    cut = cut_blocks(texts[:train], texts[train:], random.Random(0))
    assert (len(cut["train"]), len(cut["held_out"])) == blocks
    assert len({len(block) for block in (*cut["train"], *cut["held_out"])}) <= 1
    for side, rows in (("train", texts[:train]), ("held_out", texts[train:])):
        there = [text for block in (*cut[side], *cut[f"{side}_rest"]) for text in block]
        assert sorted(there) == sorted(rows)


def test_no_blocks_without_rows() -> None:
    for train, held_out in (([], ["a"] * 9), (["a"] * 9, [])):
        cut = cut_blocks(train, held_out, random.Random(0))
        assert not cut["train"] and not cut["held_out"]
        assert (cut["train_rest"], cut["held_out_rest"]) == ([train], [held_out])


def test_parts_are_pooled_by_their_rows() -> None:
    one = {"x_excess": 0.0, "x_excess_mean": 0.1, "x_excess_high": 0.2}
    pooled = pooled_excesses([one, one], [10, 10], ("x",))
    assert pooled["x_excess_mean"] == pytest.approx(0.1)
    assert pooled["x_excess"] == pytest.approx(0.1 - 0.1 / 2**0.5)
    other = {"x_excess": 0.4, "x_excess_mean": 0.5, "x_excess_high": 0.6}
    assert pooled_excesses([one, other], [30, 10], ("x",))["x_excess_mean"] == pytest.approx(0.2)
    alone = pooled_excesses([one, {"x_excess": None}], [10, 90], ("x",))
    assert alone["x_excess"] == pytest.approx(0.0)
    assert pooled_excesses([{"x_excess": None}], [90], ("x",)) == {}
