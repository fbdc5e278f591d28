"""Methods side by side: means, spreads and bootstrap intervals over seeds and orders of tasks.

An interval is that of the mean: the 2.5 and 97.5 percentiles of the means of resampled runs (Efron
1979). Two methods are compared on pairs of runs with the same seed and order, by the interval of
their mean difference. A few runs give intervals that are too narrow, so nothing is claimed below
MIN_PAIRS pairs.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

from lamol_core.comparison.runs import FinishedRun, label_runs
from lamol_core.seeds import derive_seed

RESAMPLES = 10_000
CONFIDENCE = 0.95
MIN_PAIRS = 6
"""Six differences of one sign happen by chance once in 32 times; fewer say less than an interval of
95 % promises. Many comparisons at once find some difference by chance: no correction is made."""


@dataclass(frozen=True)
class Column:
    """A figure of a summary, as a column of the comparison."""

    key: str
    title: str
    short: str = ""
    """Its title on a terminal; without one it is not shown there."""
    divide_by: float = 1.0
    decimals: int = 1


COLUMNS = (
    Column("final_average", "final average, %", "final\n%"),
    Column("incremental_average", "incremental average, %", "incr.\n%"),
    Column("forgetting", "forgetting, points", "forgets\npoints"),
    Column("backward_transfer", "backward transfer, points"),
    Column("forward_transfer", "forward transfer, points"),
    Column("seconds", "seconds", "time\ns", decimals=0),
    Column("peak_memory_bytes", "peak memory, GB", divide_by=1e9, decimals=2),
    Column("kept_bytes", "kept of old tasks, MB", "kept\nMB", 1e6, 2),
    Column("kept_real_rows", "real rows kept", decimals=0),
)
COMPARED = ("final_average", "incremental_average", "forgetting")
"""The figures by whose differences methods are told apart."""
LESS_IS_BETTER = frozenset({"forgetting"})


@dataclass(frozen=True)
class Estimate:
    """A figure over runs: mean, standard deviation (n - 1) and the mean's interval; the last two
    are None for one run."""

    values: tuple[float, ...]
    mean: float
    deviation: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        if len(values) == 1:
            return cls(tuple(values), values[0], None, None, None)
        low, high = bootstrap_interval(values)
        return cls(tuple(values), fmean(values), stdev(values), low, high)


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float]:
    """The percentile interval of the mean; the same values give the same interval."""
    chooser = random.Random(derive_seed(0, "bootstrap", *map(str, values)))
    size = len(values)
    means = sorted(fmean(chooser.choices(values, k=size)) for _ in range(RESAMPLES))
    tail = round((1 - CONFIDENCE) / 2 * RESAMPLES)
    return means[tail], means[-tail - 1]


@dataclass(frozen=True)
class Group:
    """The runs of one method with one setting, and their figures by a summary's keys."""

    label: str
    names: tuple[str, ...]
    num_orders: int
    figures: dict[str, Estimate | None]


@dataclass(frozen=True)
class Difference:
    """`first` minus `second` in one figure, over pairs of runs."""

    figure: str
    first: str
    second: str
    num_pairs: int
    estimate: Estimate

    @property
    def is_told_apart(self) -> bool:
        low, high = self.estimate.low, self.estimate.high
        if low is None or high is None or self.num_pairs < MIN_PAIRS:
            return False
        return low > 0 or high < 0

    @property
    def sentence(self) -> str:
        """What may be said of the two, and no more."""
        figure, mean = self.figure.replace("_", " "), self.estimate.mean
        if self.estimate.low is None:
            return (
                f"{figure}: {self.first} differs from {self.second} by {mean:+.1f} in the one pair "
                "of runs there is; nothing follows from that."
            )
        interval = f"[{self.estimate.low:+.1f}, {self.estimate.high:+.1f}]"
        shown = f"by {mean:+.1f} points, {interval}, over {self.num_pairs} pairs of runs"
        if self.num_pairs < MIN_PAIRS:
            return (
                f"{figure}: {self.first} differs from {self.second} {shown}: too few pairs for a "
                f"claim (wanted: {MIN_PAIRS})."
            )
        if not self.is_told_apart:
            return f"{figure}: {self.first} and {self.second} are not told apart ({shown})."
        better = (mean > 0) != (self.figure in LESS_IS_BETTER)
        verdict = "better" if better else "worse"
        return f"{figure}: {self.first} is {verdict} than {self.second} ({shown})."


@dataclass(frozen=True)
class Comparison:
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]

    @property
    def sentences(self) -> list[str]:
        """What may be said: claims first; of single pairs of runs that nothing follows."""
        several = [one for one in self.differences if one.num_pairs > 1]
        several.sort(key=lambda one: (not one.is_told_apart, one.num_pairs < MIN_PAIRS))
        single = [one for one in self.differences if one.num_pairs == 1]
        named = "; ".join(dict.fromkeys(f"{one.first} and {one.second}" for one in single))
        rest = [f"One pair of runs each, from which nothing follows: {named}."] if single else []
        return [*(one.sentence for one in several), *rest]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: every estimate with the runs' own values."""
        return {
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "groups": [asdict(group) for group in self.groups],
            "differences": [
                {**asdict(one), "told_apart": one.is_told_apart, "sentence": one.sentence}
                for one in self.differences
            ],
        }


def compare_runs(runs: Sequence[FinishedRun]) -> Comparison:
    """Group runs by method and setting, best final average first, and compare every two groups."""
    labelled = label_runs(runs)
    groups = [_group(label, members) for label, members in labelled.items()]
    groups.sort(key=lambda group: -_mean(group, "final_average"))
    differences = [
        difference
        for figure in COMPARED
        for first, second in combinations([group.label for group in groups], 2)
        if (difference := _difference(figure, first, second, labelled)) is not None
    ]
    return Comparison(tuple(groups), tuple(differences))


def _group(label: str, runs: Sequence[FinishedRun]) -> Group:
    figures: dict[str, Estimate | None] = {}
    for column in COLUMNS:
        values = [run.summary.get(column.key) for run in runs]
        known = [float(value) for value in values if value is not None]
        figures[column.key] = Estimate.of(known) if len(known) == len(runs) else None
    orders = {tuple(run.summary["tasks"]) for run in runs}
    return Group(label, tuple(run.name for run in runs), len(orders), figures)


def _mean(group: Group, key: str) -> float:
    estimate = group.figures[key]
    assert estimate is not None, f"every summary has a {key}"
    return estimate.mean


def _difference(
    figure: str, first: str, second: str, labelled: Mapping[str, Sequence[FinishedRun]]
) -> Difference | None:
    """Of the pairs of runs that two groups have; None where they have none."""
    mine, theirs = _by_pairing(labelled[first], figure), _by_pairing(labelled[second], figure)
    values = [mine[pairing] - theirs[pairing] for pairing in sorted(set(mine) & set(theirs))]
    if not values:
        return None
    return Difference(figure, first, second, len(values), Estimate.of(values))


def _by_pairing(runs: Sequence[FinishedRun], figure: str) -> dict[tuple[str, ...], float]:
    """Each pairing's figure; the mean, where the same seed and order were run more than once."""
    found: dict[tuple[str, ...], list[float]] = {}
    for run in runs:
        if run.summary.get(figure) is not None:
            found.setdefault(run.pairing, []).append(float(run.summary[figure]))
    return {pairing: fmean(values) for pairing, values in found.items()}
