"""Compares methods: means, spreads and intervals over seeds and orders of tasks.

The interval of a method's mean is a bootstrap: the 2.5 and 97.5 percentiles of the means over
resampled seeds. A seed is resampled with the runs of all its orders; with fewer than three seeds,
orders are resampled instead (Efron 1979; Field and Welsh 2007, "Bootstrapping clustered data").
With few seeds or orders the interval is too narrow.

Two methods are compared by Student's t interval of their mean difference over seeds. Runs of one
seed in several orders share their random numbers, so they are averaged first.
"""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import fmean, stdev
from typing import Any, Literal, TypeVar

import numpy as np
from scipy.stats import t as student_t

from lamol_core.errors import ConfigError
from lamol_core.reporting.comparison.finished_runs import FinishedRun, Pairing
from lamol_core.reporting.comparison.labels import CommonName, label_runs
from lamol_core.seeds import derive_seed

T = TypeVar("T")
RESAMPLES = 10_000
CONFIDENCE = 0.95
MIN_SEEDS = 3
"""Fewest seeds for an interval. With two seeds the t interval is thirteen times as wide as their
difference."""


@dataclass(frozen=True)
class Column:
    """One figure of a summary, as a column of the comparison."""

    key: str
    title: str
    short: str
    """The title on a terminal."""
    divide_by: float = 1.0
    decimals: int = 1


COLUMNS = (
    Column("final_average", "final average, %", "final\n%"),
    Column("incremental_average", "incremental average, %", "incr.\n%"),
    Column("forgetting", "forgetting, points", "forgets\npoints"),
    Column("backward_transfer", "backward transfer, points", "backward\npoints"),
    Column("forward_transfer", "forward transfer, points", "forward\npoints"),
    Column("seconds", "seconds", "time\ns", decimals=0),
    Column("peak_memory_bytes", "peak memory, GB", "memory\nGB", 1e9, 2),
    Column("kept_bytes", "kept of old tasks, MB", "kept\nMB", 1e6, 2),
    Column("kept_real_rows", "real rows kept", "real\nrows", decimals=0),
)
COMPARED = ("final_average", "incremental_average", "forgetting")
"""The figures whose differences are tested."""
LESS_IS_BETTER = frozenset({"forgetting"})


@dataclass(frozen=True)
class Estimate:
    """A figure over runs: its values, their mean, their standard deviation (n - 1; None for one
    run) and the mean's interval (None with fewer than MIN_SEEDS clusters)."""

    values: tuple[float, ...]
    mean: float
    deviation: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, clusters: Sequence[Sequence[float]]) -> Estimate:
        """Return the estimate from clusters, each with the values of one seed or one order.
        Clusters are resampled as a whole."""
        values = tuple(value for cluster in clusters for value in cluster)
        deviation = stdev(values) if len(values) > 1 else None
        low, high = bootstrap_interval(clusters) if len(clusters) >= MIN_SEEDS else (None, None)
        return cls(values, fmean(values), deviation, low, high)


def bootstrap_interval(clusters: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the percentile interval of the mean over runs, from resampled clusters. The same
    values give the same interval."""
    rng = random.Random(derive_seed(0, "bootstrap", *map(str, clusters)))
    num = len(clusters)
    drawn = np.array([rng.random() for _ in range(RESAMPLES * num)]).reshape(RESAMPLES, num)
    chosen = (drawn * num).astype(int)
    sums = np.array([math.fsum(cluster) for cluster in clusters])
    sizes = np.array([len(cluster) for cluster in clusters])
    means = np.sort(sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1))
    tail = round((1 - CONFIDENCE) / 2 * RESAMPLES)
    return float(means[tail]), float(means[-tail - 1])


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return Student's 95 % interval of the mean of at least two independent values."""
    half = float(student_t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    half *= stdev(values) / math.sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


@dataclass(frozen=True)
class Group:
    """The runs of one method with one setting, and their figures by the keys of a summary."""

    label: str
    names: tuple[str, ...]
    num_runs: int
    """The number of distinct pairings: a repeated run does not count again."""
    num_orders: int
    figures: dict[str, Estimate | None]


@dataclass(frozen=True)
class Pairs:
    """The pairs of runs of two methods, and the difference of one figure between them."""

    num: int
    num_higher: int
    """The number of pairs in which the first method's figure is higher."""
    num_alike: int
    """The number of pairs with equal score matrices: the setting in which the methods differ had
    no effect."""
    num_across: int
    """The number of pairs made by different versions of the code or on different processors."""
    by_seed: tuple[float, ...]
    """The mean difference of each seed over its orders."""


@dataclass(frozen=True)
class Difference:
    """The difference of `first` minus `second` in one figure, over pairs of runs with the same
    seed and order."""

    figure: str
    first: str
    second: str
    pairs: Pairs

    @property
    def methods(self) -> tuple[str, str]:
        return self.first, self.second

    @property
    def mean(self) -> float:
        return fmean(self.pairs.by_seed)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """Student's t interval of the mean over seeds; None with fewer than MIN_SEEDS seeds."""
        return t_interval(self.pairs.by_seed) if len(self.pairs.by_seed) >= MIN_SEEDS else None

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes 0; False without an interval, or where all seeds have
        the same difference."""
        if self.interval is None or self.has_no_spread:
            return False
        return not self.interval[0] <= 0 <= self.interval[1]

    @property
    def has_no_spread(self) -> bool:
        """Whether all seeds have the same difference, as happens with few test rows."""
        return max(self.pairs.by_seed) - min(self.pairs.by_seed) < 1e-9

    @property
    def first_is_better(self) -> bool:
        """Whether the mean difference favours `first`, significant or not."""
        return (self.mean > 0) != (self.figure in LESS_IS_BETTER)


@dataclass(frozen=True)
class Comparison:
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]
    """The differences between every two groups; with a baseline only those from the baseline."""
    baseline: str | None = None


def compare_runs(
    runs: Sequence[FinishedRun],
    defaults: Mapping[str, Any],
    names: Sequence[CommonName] = (),
    against: str | None = None,
) -> Comparison:
    """Group runs by method and setting, best final average first. Compare every two groups; or each
    with the baseline, the group labelled `against`.

    `defaults` are the flattened defaults of all parameters. Raises ConfigError for an unknown
    label, and for one of `names` that is taken or whose settings no run has."""
    labelled = label_runs(runs, defaults, names)
    groups = [_group(label, members) for label, members in labelled.items()]
    groups.sort(key=_final_average, reverse=True)
    labels = [group.label for group in groups]
    compared = list(combinations(labels, 2))
    if against is not None:
        if against not in labels:
            raise ConfigError(
                f"--against {against}: there is no such method. Choose: {'; '.join(labels)}."
            )
        compared = [(label, against) for label in labels if label != against]
    differences = [
        Difference(figure, first, second, pairs)
        for figure in COMPARED
        for first, second in compared
        if (pairs := paired(figure, labelled[first], labelled[second])) is not None
    ]
    return Comparison(tuple(groups), tuple(differences), against)


def _group(label: str, runs: Sequence[FinishedRun]) -> Group:
    pairings = {run.pairing for run in runs}
    figures: dict[str, Estimate | None] = {}
    for column in COLUMNS:
        values = _figures(runs, column.key)
        by_seed, by_order = _values_by(values, "seed"), _values_by(values, "tasks")
        few_seeds = len(by_seed) < MIN_SEEDS <= len(by_order)
        is_whole = len(values) == len(pairings)
        figures[column.key] = Estimate.of(by_order if few_seeds else by_seed) if is_whole else None
    num_orders = len({pairing.tasks for pairing in pairings})
    return Group(label, tuple(run.name for run in runs), len(pairings), num_orders, figures)


def _final_average(group: Group) -> float:
    """Return the group's final average; minus infinity without one, because all test rows were
    forgotten before the last evaluation."""
    estimate = group.figures["final_average"]
    return -math.inf if estimate is None else estimate.mean


def paired(figure: str, runs: Sequence[FinishedRun], others: Sequence[FinishedRun]) -> Pairs | None:
    """Return the pairs of runs of two groups; None where there are none."""
    first, second = _figures(runs, figure), _figures(others, figure)
    both = sorted(first.keys() & second.keys())
    if not both:
        return None
    by_seed = _values_by({pairing: first[pairing] - second[pairing] for pairing in both}, "seed")

    def num_equal(value: Callable[[FinishedRun], Hashable]) -> int:
        ours, theirs = _by_pairing(runs, value), _by_pairing(others, value)
        return sum(set(ours[pairing]) == set(theirs[pairing]) for pairing in both)

    return Pairs(
        num=len(both),
        num_higher=sum(first[pairing] > second[pairing] for pairing in both),
        num_alike=num_equal(lambda run: json.dumps(run.summary.get("score_matrix", run.name))),
        num_across=len(both) - num_equal(lambda run: run.made_by),
        by_seed=tuple(map(fmean, by_seed)),
    )


def _figures(runs: Sequence[FinishedRun], figure: str) -> dict[Pairing, float]:
    """Return a figure by pairing, where it was measured; for repeated runs it is the mean."""
    measured = [run for run in runs if run.summary.get(figure) is not None]
    values = _by_pairing(measured, lambda run: float(run.summary[figure]))
    return {pairing: fmean(of_pairing) for pairing, of_pairing in values.items()}


def _by_pairing(
    runs: Sequence[FinishedRun], value: Callable[[FinishedRun], T]
) -> dict[Pairing, list[T]]:
    found: dict[Pairing, list[T]] = defaultdict(list)
    for run in runs:
        found[run.pairing].append(value(run))
    return found


def _values_by(
    values: Mapping[Pairing, float], field: Literal["seed", "tasks"]
) -> list[list[float]]:
    """Return lists of the values of pairings that have the same seed, or the same tasks."""
    found: dict[Hashable, list[float]] = defaultdict(list)
    for pairing, value in values.items():
        found[getattr(pairing, field)].append(value)
    return list(found.values())
