"""How far pseudo-samples are nearer to training rows than chance would have it.

Each sample gives its weight, in equal parts, to the real rows that are nearest to it, training rows
and held-out ones alike. Where nothing is memorised, training has no say in which rows those are: of
the weight that goes to a task's rows, its training rows get the share that they are of them. What
they get beyond that is memory.

The interval is that of a permutation test: which rows of a task are its training rows is drawn
anew, the weights stay where they are. It needs no sets of one size, takes a row that many samples
repeat for one chance, and keeps its level where no held-out row was hit, which a bootstrap does
not: there is nothing to resample.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamol_core.audit.reference import Figure

PERMUTATIONS = 2000
CELLS = 1_000_000
"""Of a matrix of permutations at once."""
MOST_HELD_OUT_BLOCKS, MOST_TRAIN_BLOCKS = 16, 48
LEAST_BLOCK = 5
"""Rows of a block, where there are so many: one row alone is near to nothing."""
Numbers = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Real rows (N), or blocks of as many rows: of which task, and whether it was trained on."""

    task: Places
    trained: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.task)


@dataclass(frozen=True)
class Shares:
    """To which rows of a pool samples (n) give their weight.

    Samples of one group share the rows nearest to them; group -1 has none."""

    weight: Numbers
    group: Places
    rows: Sequence[Places]
    """Distinct rows, by group."""

    def given(self, samples: NDArray[np.bool_], size: int) -> Numbers:
        """What each of the pool's rows gets of some of the samples: (size,)."""
        giving = samples & (self.group >= 0)
        totals = np.bincount(self.group[giving], self.weight[giving], minlength=len(self.rows))
        given = np.zeros(size)
        for group in np.flatnonzero(totals).tolist():
            rows = self.rows[group]
            given[rows] += totals[group] / len(rows)
        return given


@dataclass(frozen=True)
class Excess:
    """Beyond chance: the lower end of the 95 % interval, the estimate, the upper end."""

    low: float
    mean: float
    high: float

    def figures(self, name: str) -> dict[str, Figure]:
        return {
            f"{name}_excess": self.low,
            f"{name}_excess_mean": self.mean,
            f"{name}_excess_high": self.high,
        }


def excess_of(given: Numbers, pool: Pool, level: float, seed: int, among: int = 1) -> Excess | None:
    """The part of a figure, whose mean over the samples is `level`, that is memory.

    `given` (N): the weight that each row of the pool got. `among` figures looked at together, the
    intervals hold for all of them at once (Bonferroni). None where no task of the pool has both
    training and held-out rows: nothing tells memory from chance then."""
    tasks = [pool.task == task for task in np.unique(pool.task)]
    tasks = [one for one in tasks if pool.trained[one].any() and not pool.trained[one].all()]
    if not tasks:
        return None
    total = sum(float(given[one].sum()) for one in tasks)
    if not total:
        return None if given.any() else Excess(0.0, 0.0, 0.0)
    generator = np.random.default_rng(seed)
    memory, redrawn = 0.0, np.zeros(PERMUTATIONS)
    for one in tasks:
        trained, weights = pool.trained[one], given[one] / total
        chance = float(trained.mean())
        # the part of the task's weight that is memory: all of it where only training rows got some
        of_seen = (weights[trained].sum() - chance * weights.sum()) / (1 - chance)
        memory += float(of_seen)
        by_chance = _redrawn(weights[weights > 0], trained, generator)
        redrawn += (by_chance - chance * weights.sum()) / (1 - chance)
    tail = 0.025 / among
    low, high = np.quantile(redrawn, [tail, 1 - tail]).tolist()
    judged = float(level) * total / float(given.sum())
    ends = (memory - high, memory, memory - low)
    return Excess(*(judged * min(max(end, -1.0), 1.0) for end in ends))


def _redrawn(
    weights: Numbers, trained: NDArray[np.bool_], generator: np.random.Generator
) -> Numbers:
    """The weight of training rows, if which of a task's rows (some have weight) these are is drawn
    anew: (PERMUTATIONS,)."""
    hits = generator.hypergeometric(
        trained.sum(), (~trained).sum(), len(weights), size=PERMUTATIONS
    )
    sums = [
        generator.permuted(np.arange(len(weights)) < some[:, None], axis=1) @ weights
        for some in np.array_split(hits, max(PERMUTATIONS * len(weights) // CELLS, 1))
    ]
    return np.concatenate(sums)


def pooled_excesses(
    parts: Sequence[Mapping[str, Figure]], weights: Sequence[int], names: Sequence[str]
) -> dict[str, Figure]:
    """Means of the excesses of parts that were compared apart, weighted by their rows; the rows
    are not the same, so the halves of their intervals add up in squares."""
    figures: dict[str, Figure] = {}
    for name in (f"{figure}_excess" for figure in names):
        known = [
            (weight, low, mean, high)
            for part, weight in zip(parts, weights, strict=True)
            if (low := part.get(name)) is not None
            and (mean := part.get(f"{name}_mean")) is not None
            and (high := part.get(f"{name}_high")) is not None
        ]
        total = sum(weight for weight, *_ in known)
        if not total:
            continue
        centre = sum(weight * mean for weight, _, mean, _ in known) / total
        below = math.hypot(*(weight * (mean - low) for weight, low, mean, _ in known)) / total
        above = math.hypot(*(weight * (high - mean) for weight, _, mean, high in known)) / total
        figures |= {name: centre - below, f"{name}_mean": centre, f"{name}_high": centre + above}
    return figures


@dataclass(frozen=True)
class Blocks:
    """Texts in blocks of one size: what a fingerprint keeps apart."""

    train: Sequence[Sequence[str]]
    held_out: Sequence[Sequence[str]]
    train_rest: Sequence[str]
    """Rows of no block."""
    held_out_rest: Sequence[str]


def cut_blocks(
    train: Sequence[str], held_out: Sequence[str], chooser: random.Random
) -> Blocks | None:
    """Sixteen blocks of held-out rows, where there are so many, and as many training blocks as
    there are up to 48; None without rows on either side."""
    num_held_out = min(MOST_HELD_OUT_BLOCKS, max(len(held_out) // LEAST_BLOCK, 1))
    size = min(len(held_out) // num_held_out, len(train))
    if size == 0:
        return None

    def cut(rows: Sequence[str], most: int) -> list[Sequence[str]]:
        count = min(len(rows) // size, most)
        return [rows[k * size : (k + 1) * size] for k in range(count)]

    shuffled = chooser.sample(train, len(train))
    shuffled_held_out = chooser.sample(held_out, len(held_out))
    seen, unseen = cut(shuffled, MOST_TRAIN_BLOCKS), cut(shuffled_held_out, num_held_out)
    rest, held_out_rest = shuffled[len(seen) * size :], shuffled_held_out[len(unseen) * size :]
    return Blocks(seen, unseen, rest, held_out_rest)
