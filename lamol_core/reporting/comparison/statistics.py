"""Methods side by side: means, spreads and bootstrap intervals over seeds and orders of tasks.

A method's interval is that of its mean: the 2.5 and 97.5 percentiles of the means of resampled
seeds, each with the runs of all its orders, or where there are fewer than three seeds of resampled
orders (Efron 1979; Field and Welsh 2007, "Bootstrapping clustered data"). Over a few it is too
narrow, and is there to show the spread. Two methods are told apart by another one: Student's t
interval of their mean difference, in which a seed counts once. Runs of one seed in several orders
draw from the same streams of random numbers and are no new evidence of the same weight, so their
differences are averaged first.
"""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student_t

from lamol_core.errors import ConfigError
from lamol_core.reporting.comparison.finished_runs import FinishedRun, Pairing
from lamol_core.reporting.comparison.labels import CommonName, label_runs
from lamol_core.seeds import derive_seed

RESAMPLES = 10_000
CONFIDENCE = 0.95
MIN_SEEDS = 3
"""With two, the interval is thirteen times as wide as the difference of the two: no answer."""


@dataclass(frozen=True)
class Column:
    """A figure of a summary, as a column of the comparison."""

    key: str
    title: str
    short: str
    """Its title on a terminal."""
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
"""The figures by whose differences methods are told apart."""
LESS_IS_BETTER = frozenset({"forgetting"})


@dataclass(frozen=True)
class Estimate:
    """A figure over runs: mean, standard deviation (n - 1; None for one run) and the mean's
    interval (None below MIN_SEEDS of what is resampled)."""

    values: tuple[float, ...]
    mean: float
    deviation: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, clusters: Sequence[Sequence[float]]) -> Estimate:
        """Of runs that are resampled together: those of a seed, or of an order."""
        values = tuple(value for cluster in clusters for value in cluster)
        deviation = stdev(values) if len(values) > 1 else None
        low, high = bootstrap_interval(clusters) if len(clusters) >= MIN_SEEDS else (None, None)
        return cls(values, fmean(values), deviation, low, high)


def bootstrap_interval(clusters: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The percentile interval of the mean over runs, whole clusters resampled; the same values
    give the same interval."""
    chooser = random.Random(derive_seed(0, "bootstrap", *map(str, clusters)))
    sums = [(math.fsum(cluster), len(cluster)) for cluster in clusters]
    means = []
    for _ in range(RESAMPLES):
        drawn = chooser.choices(sums, k=len(sums))
        means.append(math.fsum(total for total, _ in drawn) / sum(size for _, size in drawn))
    means.sort()
    tail = round((1 - CONFIDENCE) / 2 * RESAMPLES)
    return means[tail], means[-tail - 1]


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean of at least two independent values."""
    half = float(student_t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    half *= stdev(values) / math.sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


@dataclass(frozen=True)
class Group:
    """The runs of one method with one setting, and their figures by a summary's keys."""

    label: str
    names: tuple[str, ...]
    num_runs: int
    """Runs of a seed and order each; the same run again is no other one."""
    num_orders: int
    figures: dict[str, Estimate | None]


@dataclass(frozen=True)
class Pairs:
    """Runs of two methods that have seed, order and data in common, and how a figure differs."""

    num: int
    num_higher: int
    """In which the first one's figure is the higher one."""
    num_alike: int
    """Whose score matrices are the same: what the methods differ in had nothing to do there."""
    num_across: int
    """By different versions of the code or on different processors."""
    by_seed: tuple[float, ...]
    """For each seed the mean difference over its orders."""


@dataclass(frozen=True)
class Difference:
    """`first` minus `second` in one figure, over pairs of runs of the same seed and order."""

    figure: str
    first: str
    second: str
    pairs: Pairs

    @property
    def by_seed(self) -> tuple[float, ...]:
        return self.pairs.by_seed

    @property
    def mean(self) -> float:
        return fmean(self.by_seed)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's t interval of the mean over seeds; None below MIN_SEEDS."""
        if len(self.by_seed) < MIN_SEEDS:
            return None
        return t_interval(self.by_seed)

    @property
    def is_told_apart(self) -> bool:
        """Seeds that differ by the very same, as few test rows bring about, have no spread to judge
        by."""
        if self.interval is None or self.has_no_spread:
            return False
        return not self.interval[0] <= 0 <= self.interval[1]

    @property
    def has_no_spread(self) -> bool:
        return max(self.by_seed) - min(self.by_seed) < 1e-9

    @property
    def first_is_better(self) -> bool:
        """Of the two means; whether more can be said, `is_told_apart` tells."""
        return (self.mean > 0) != (self.figure in LESS_IS_BETTER)


@dataclass(frozen=True)
class Comparison:
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]
    """Of every two groups; of every other one and the baseline, where there is one."""
    baseline: str | None = None


def compare_runs(
    runs: Sequence[FinishedRun],
    defaults: Mapping[str, Any],
    names: Sequence[CommonName] = (),
    against: str | None = None,
) -> Comparison:
    """Group runs by method and setting, best final average first, and compare every two groups, or
    all with one, `against`, by its label. `defaults` are those of all parameters, flattened.
    Raises ConfigError for a name whose settings no run has and for a label that is none."""
    labelled = label_runs(runs, defaults, names)
    groups = [_group(label, members) for label, members in labelled.items()]
    groups.sort(key=_final_average, reverse=True)
    labels = [group.label for group in groups]
    compared = list(combinations(labels, 2))
    if against is not None:
        if against not in labels:
            raise ConfigError(f"--against {against}: none of these. Choose: {'; '.join(labels)}.")
        compared = [(label, against) for label in labels if label != against]
    differences = [
        Difference(figure, first, second, pairs)
        for figure in COMPARED
        for first, second in compared
        if (pairs := paired(figure, labelled[first], labelled[second])) is not None
    ]
    return Comparison(tuple(groups), tuple(differences), against)


def _group(label: str, runs: Sequence[FinishedRun]) -> Group:
    figures: dict[str, Estimate | None] = {}
    pairings = {run.pairing for run in runs}
    for column in COLUMNS:
        known = _by_pairing(runs, column.key)
        whole = len(known) == len(pairings)
        figures[column.key] = Estimate.of(_clusters(known)) if whole else None
    orders = {tuple(run.summary["tasks"]) for run in runs}
    return Group(label, tuple(run.name for run in runs), len(pairings), len(orders), figures)


def _final_average(group: Group) -> float:
    """Groups without one come last: all test rows were forgotten before the last evaluation."""
    estimate = group.figures["final_average"]
    return -math.inf if estimate is None else estimate.mean


def paired(figure: str, runs: Sequence[FinishedRun], others: Sequence[FinishedRun]) -> Pairs | None:
    """The pairs of runs of two groups; None where they have none."""
    mine, theirs = _by_pairing(runs, figure), _by_pairing(others, figure)
    both = sorted(set(mine) & set(theirs))
    if not both:
        return None
    by_seed = _grouped({pairing: mine[pairing] - theirs[pairing] for pairing in both}, "seed")
    return Pairs(
        num=len(both),
        num_higher=sum(mine[pairing] > theirs[pairing] for pairing in both),
        num_alike=_num_equal(both, runs, others, _scores),
        num_across=len(both) - _num_equal(both, runs, others, lambda run: run.made_by),
        by_seed=tuple(map(fmean, by_seed)),
    )


def _num_equal(
    pairings: Sequence[Pairing],
    runs: Sequence[FinishedRun],
    others: Sequence[FinishedRun],
    what: Callable[[FinishedRun], Hashable],
) -> int:
    """Pairs whose runs have the same of something."""

    def known(group: Sequence[FinishedRun], pairing: Pairing) -> set[Hashable]:
        return {what(run) for run in group if run.pairing == pairing}

    return sum(known(runs, pairing) == known(others, pairing) for pairing in pairings)


def _scores(run: FinishedRun) -> str:
    return json.dumps(run.summary.get("score_matrix", run.name))


def _clusters(values: Mapping[Pairing, float]) -> list[list[float]]:
    """The runs of each seed; of each order where there are too few seeds and enough orders."""
    by_seed, by_order = _grouped(values, "seed"), _grouped(values, "tasks")
    return by_seed if len(by_seed) >= MIN_SEEDS or len(by_order) < MIN_SEEDS else by_order


def _grouped(values: Mapping[Pairing, float], key: str) -> list[list[float]]:
    """The values of pairings that have a field in common."""
    found: dict[Hashable, list[float]] = defaultdict(list)
    for pairing, value in values.items():
        found[getattr(pairing, key)].append(value)
    return list(found.values())


def _by_pairing(runs: Sequence[FinishedRun], figure: str) -> dict[Pairing, float]:
    """Each pairing's figure; the mean, where the same seed and order were run more than once."""
    found: dict[Pairing, list[float]] = {}
    for run in runs:
        if run.summary.get(figure) is not None:
            found.setdefault(run.pairing, []).append(float(run.summary[figure]))
    return {pairing: fmean(values) for pairing, values in found.items()}
