"""The excess over chance: its interval covers 0 where no memory is, and finds it where it is."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lamol_core.audit.excess import Gap, cut_blocks, pooled_excesses

TRIALS = 60


def gap(generator: np.random.Generator, memory: float = 0.0, scale: float = 1.0) -> Gap:
    """100 samples against blocks that differ: each is near to a sample by a chance of its own."""

    def near(num_blocks: int, more: float) -> np.ndarray:
        rates = generator.beta(0.5, 12, size=num_blocks)
        return (generator.random((100, num_blocks)) < rates + more).astype(float)

    return Gap(near(16, memory), near(8, 0.0), scale)


def test_without_memory_the_interval_covers_zero() -> None:
    generator = np.random.default_rng(0)
    intervals = [gap(generator).interval(seed) for seed in range(TRIALS)]
    covered = sum(low <= 0 <= high for low, _, high in intervals)
    assert covered >= 0.85 * TRIALS, "blocks are resampled too: samples alone cover far less"
    assert abs(np.mean([mean for _, mean, _ in intervals])) < 0.03


def test_memory_is_found() -> None:
    generator = np.random.default_rng(0)
    found = [gap(generator, memory=0.05).interval(seed) for seed in range(TRIALS)]
    assert sum(low > 0 for low, _, _ in found) >= 0.5 * TRIALS
    assert np.mean([mean for _, mean, _ in found]) > 0.15


def test_it_is_scaled_and_always_the_same() -> None:
    once = gap(np.random.default_rng(1)).interval(0)
    assert once == gap(np.random.default_rng(1)).interval(0)
    twice = gap(np.random.default_rng(1), scale=2.0).interval(0)
    assert twice == pytest.approx([2 * value for value in once])


@pytest.mark.parametrize(
    ("train", "held_out", "blocks"),
    [(400, 160, (20, 8)), (200, 40, (24, 8)), (30, 12, (5, 2)), (10, 3, (3, 1)), (5, 50, (1, 8))],
)
def test_blocks_are_of_one_size(train: int, held_out: int, blocks: tuple[int, int]) -> None:
    texts = [str(i) for i in range(train + held_out)]
    cut = cut_blocks(texts[:train], texts[train:], random.Random(0))
    assert cut is not None
    assert (len(cut.train), len(cut.held_out)) == blocks
    assert len({len(block) for block in (*cut.train, *cut.held_out)}) == 1
    assert not {t for b in cut.train for t in b} & {t for b in cut.held_out for t in b}
    size = len(cut.train[0]) * min(blocks)
    assert cut.scale == pytest.approx(train / size)


def test_no_blocks_without_rows() -> None:
    assert cut_blocks(["a"], [], random.Random(0)) is None
    assert cut_blocks([], ["a"], random.Random(0)) is None


def test_tasks_are_pooled_by_their_rows() -> None:
    one = {"x_excess": 0.0, "x_excess_mean": 0.1, "x_excess_high": 0.2}
    pooled = pooled_excesses({"a": one, "b": one}, {"a": 10, "b": 10}, ("x",))
    assert pooled["x_excess_mean"] == pytest.approx(0.1)
    assert pooled["x_excess"] == pytest.approx(0.1 - 0.1 / 2**0.5)
    alone = pooled_excesses({"a": one, "b": {"x_excess": None}}, {"a": 10, "b": 90}, ("x",))
    assert alone["x_excess"] == pytest.approx(0.0)
    assert pooled_excesses({"b": {"x_excess": None}}, {"b": 90}, ("x",)) == {}
