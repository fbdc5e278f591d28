"""How far a figure of pseudo-samples against training rows exceeds what chance gives.

Training rows and held-out rows of the task are cut into blocks of one size. As many training blocks
as there are held-out ones give a sample the same chance; what more it has against them is memory.
The interval resamples samples and blocks (the pigeonhole bootstrap, Owen 2007): which rows happened
to be held out is chance too, and in texts that are built alike most of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamol_core.audit.reference import Figure

RESAMPLES = 400
MOST_HELD_OUT_BLOCKS, MOST_TRAIN_BLOCKS = 8, 24
LEAST_BLOCK = 5
"""Rows of a block, where there are so many: one row alone is near to nothing."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Blocks:
    """Texts in blocks of one size."""

    train: Sequence[Sequence[str]]
    held_out: Sequence[Sequence[str]]
    scale: float
    """How many times the held-out blocks all training rows are."""
    train_rest: Sequence[str]
    """Rows of no block."""
    held_out_rest: Sequence[str]


def cut_blocks(
    train: Sequence[str], held_out: Sequence[str], chooser: random.Random
) -> Blocks | None:
    """Eight blocks of held-out rows, where there are so many, and as many training blocks as there
    are up to 24; None without rows on either side."""
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
    scale = len(train) / (size * min(len(seen), len(unseen)))
    rest, held_out_rest = shuffled[len(seen) * size :], shuffled_held_out[len(unseen) * size :]
    return Blocks(seen, unseen, scale, rest, held_out_rest)


@dataclass(frozen=True)
class Gap:
    """A figure of each sample against each block of training rows (n, K) and of held-out rows
    (n, H). Against several blocks together it is the largest of theirs.

    `scale` is how many times H blocks all training rows are."""

    train: Numbers
    held_out: Numbers
    scale: float

    def interval(self, seed: int) -> tuple[float, float, float]:
        """The excess against all training rows: lower end of its interval, mean, upper end."""
        generator = np.random.default_rng(seed)
        size = min(self.train.shape[1], self.held_out.shape[1])
        means, resampled = [], []
        for _ in range(RESAMPLES):
            seen = generator.permutation(self.train.shape[1])[:size]
            unseen = generator.permutation(self.held_out.shape[1])[:size]
            means.append(self._difference(slice(None), seen, unseen))
            # as many different blocks on either side: more of them would give more chance
            again = (generator.choice(blocks, size) for blocks in (seen, unseen))
            rows = generator.integers(len(self.train), size=len(self.train))
            resampled.append(self._difference(rows, *again))
        # blocks drawn twice give less chance on both sides: the spread is theirs, not the centre
        mean = float(np.mean(means))
        low, high = np.quantile(np.array(resampled) - np.mean(resampled), [0.025, 0.975])
        return float(mean + low), mean, float(mean + high)

    def _difference(self, rows: Any, seen: Any, unseen: Any) -> float:
        train, held_out = self.train[rows][:, seen], self.held_out[rows][:, unseen]
        return float(self.scale * (train.max(axis=1).mean() - held_out.max(axis=1).mean()))


def pooled_excesses(
    by_task: Mapping[str, Mapping[str, Figure]], weights: Mapping[str, int], names: Sequence[str]
) -> dict[str, Figure]:
    """The excesses of the whole table: means over tasks, weighted by rows; the tasks' rows are not
    the same, so the halves of their intervals add up in squares."""
    figures: dict[str, Figure] = {}
    for name in (f"{figure}_excess" for figure in names):
        known = [
            (weights[task], low, mean, high)
            for task, of_task in by_task.items()
            if (low := of_task.get(name)) is not None
            and (mean := of_task.get(f"{name}_mean")) is not None
            and (high := of_task.get(f"{name}_high")) is not None
        ]
        total = sum(weight for weight, *_ in known)
        if not total:
            continue
        centre = sum(weight * mean for weight, _, mean, _ in known) / total
        below = math.hypot(*(weight * (mean - low) for weight, low, mean, _ in known)) / total
        above = math.hypot(*(weight * (high - mean) for weight, _, mean, high in known)) / total
        figures |= {name: centre - below, f"{name}_mean": centre, f"{name}_high": centre + above}
    return figures
