"""How much nearer pseudo-samples are to training rows than chance would make them.

Each sample gives its weight, in equal parts, to the real rows nearest to it, whether they are
training or held-out rows. Without memorisation it does not matter which rows were trained on: if
80 % of a task's rows are training rows, they receive about 80 % of the weight of the task's rows.
What they receive beyond that is due to memorisation.

The interval comes from a permutation test: the choice of which rows of a task are training rows is
drawn anew, while the weights stay. The test needs no sets of equal size, and counts a row once even
if many samples repeat it. It also works where no held-out row was hit; a bootstrap would have
nothing to resample there.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamol_core.audit.figures import Figure

PERMUTATIONS = 2000
CELLS = 1_000_000  # largest matrix of permutations that is held in memory at once
MOST_HELD_OUT_BLOCKS, MOST_TRAIN_BLOCKS = 16, 48
LEAST_BLOCK = 5  # rows; the hashes of a smaller block reveal too much of each row
Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pool:
    """Real rows (N), or blocks with equally many rows (N): the index of the task of each, and
    whether it was trained on."""

    task: Indices
    trained: Mask

    def __len__(self) -> int:
        return len(self.task)


@dataclass(frozen=True)
class Shares:
    """Which rows of a pool the samples (n) give their `weight` to. `group` (n) is an index into
    `rows`, which lists the nearest rows of each group of samples; group -1 gives to none."""

    weight: Numbers
    group: Indices
    rows: Sequence[Indices]

    def received(self, samples: Mask, size: int) -> Numbers:
        """Return (size,): the weight that each of the pool's `size` rows receives from the
        samples in a mask."""
        giving = samples & (self.group >= 0)
        totals = np.bincount(self.group[giving], self.weight[giving], minlength=len(self.rows))
        received = np.zeros(size)
        for group in np.flatnonzero(totals).tolist():
            rows = self.rows[group]
            received[rows] += totals[group] / len(rows)
        return received


@dataclass(frozen=True)
class Excess:
    """How far a figure exceeds chance: the estimate, and the two ends of its 95 % interval."""

    low: float
    mean: float
    high: float

    def figures(self, name: str) -> dict[str, Figure]:
        return dict(zip(_keys(name), (self.low, self.mean, self.high), strict=True))


def _keys(name: str) -> tuple[str, str, str]:
    return f"{name}_excess", f"{name}_excess_mean", f"{name}_excess_high"


def excess_of(
    received: Numbers, pool: Pool, mean_figure: float, seed: int, num_comparisons: int = 1
) -> Excess | None:
    """Return the part of a figure that is due to memorisation. None where no task of the pool has
    both training and held-out rows that could separate memorisation from chance.

    `received` (N) is the weight of each row of the pool, `mean_figure` the figure's mean over
    the samples. The intervals hold for `num_comparisons` figures at once (Bonferroni)."""
    tasks = [pool.task == task for task in np.unique(pool.task)]
    tasks = [mask for mask in tasks if pool.trained[mask].any() and not pool.trained[mask].all()]
    if not tasks:
        return None
    total = sum(float(received[mask].sum()) for mask in tasks)
    if not total:
        return None if received.any() else Excess(0.0, 0.0, 0.0)
    rng = np.random.default_rng(seed)
    memory, redrawn = 0.0, np.zeros(PERMUTATIONS)
    for mask in tasks:
        trained, weights = pool.trained[mask], received[mask] / total
        chance = float(trained.mean())
        # the part of the task's weight that is memory: all of it where only training rows got some
        memory += float((weights[trained].sum() - chance * weights.sum()) / (1 - chance))
        by_chance = _redrawn(weights[weights > 0], trained, rng)
        redrawn += (by_chance - chance * weights.sum()) / (1 - chance)
    tail = 0.025 / num_comparisons
    low, high = np.quantile(redrawn, [tail, 1 - tail]).tolist()
    judged = float(mean_figure) * total / float(received.sum())
    ends = (memory - high, memory, memory - low)
    return Excess(*(judged * min(max(end, -1.0), 1.0) for end in ends))


def _redrawn(weights: Numbers, trained: Mask, rng: np.random.Generator) -> Numbers:
    """Return (PERMUTATIONS,): the total weight of a task's training rows when they are drawn
    anew among the task's rows. `weights` are those of the rows that have any, `trained` (rows,)
    marks training rows."""
    hits = rng.hypergeometric(trained.sum(), (~trained).sum(), len(weights), size=PERMUTATIONS)
    sums = [
        rng.permuted(np.arange(len(weights)) < some[:, None], axis=1) @ weights
        for some in np.array_split(hits, max(PERMUTATIONS * len(weights) // CELLS, 1))
    ]
    return np.concatenate(sums)


def pooled_excesses(
    parts: Sequence[Mapping[str, Figure]], weights: Sequence[int], names: Sequence[str]
) -> dict[str, Figure]:
    """Return means of the excesses of separately compared parts, weighted by `weights` (rows by
    part). The parts have different rows, so the squares of their intervals' halves are added."""
    figures: dict[str, Figure] = {}
    for name in names:
        values = np.array([[part.get(key) for key in _keys(name)] for part in parts], float)
        known = ~np.isnan(values).any(axis=1)
        weight, (low, mean, high) = np.array(weights)[known], values[known].T
        if not (total := int(weight.sum())):
            continue
        centre = sum((weight * mean).tolist()) / total
        below, above = (math.hypot(*weight * half) / total for half in (mean - low, high - mean))
        figures |= Excess(centre - below, centre, centre + above).figures(name)
    return figures


def cut_blocks(
    train: Sequence[str], held_out: Sequence[str], rng: random.Random
) -> dict[str, list[Sequence[str]]]:
    """Shuffle rows and cut them into blocks of equal size: up to 16 of held-out rows and up to
    48 of training rows. The rows outside of all blocks are under "train_rest" and
    "held_out_rest". If blocks would have fewer rows than LEAST_BLOCK, there are no blocks."""
    most_held_out = min(MOST_HELD_OUT_BLOCKS, max(len(held_out) // LEAST_BLOCK, 1))
    size = min(len(held_out) // most_held_out, len(train))
    sides = ("train", train, MOST_TRAIN_BLOCKS), ("held_out", held_out, most_held_out)
    blocks = {}
    for side, rows, most in sides:
        shuffled = rng.sample(rows, len(rows)) if size else rows
        count = min(len(rows) // size, most) if size >= LEAST_BLOCK else 0
        blocks[side] = [shuffled[k * size : (k + 1) * size] for k in range(count)]
        blocks[f"{side}_rest"] = [shuffled[count * size :]]
    return blocks
