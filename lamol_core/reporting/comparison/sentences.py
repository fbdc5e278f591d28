"""The conclusions of a comparison, in sentences."""

from collections import defaultdict
from collections.abc import Iterator

from lamol_core.reporting.comparison.statistics import CONFIDENCE, MIN_SEEDS, Comparison, Difference

NO_PAIRS = (
    "No two methods here have a seed, an order of tasks and data in common, so none are compared."
)
NO_CLAIM = "No difference is significant."
TOO_FEW = f"No difference is significant; that needs at least {MIN_SEEDS} seeds in common."


def sentences(comparison: Comparison) -> list[str]:
    """Return sentences in this order: significant differences, differences that are not, pairs of
    methods with too few common seeds, and a warning where paired runs come from different versions
    of lamol or processors."""
    compared = dict.fromkeys(difference.methods for difference in comparison.differences)
    tested = {d.methods for d in comparison.differences if d.interval is not None}
    untested = "; ".join(" and ".join(methods) for methods in compared if methods not in tested)
    found = [*claims(comparison), *_not_significant(comparison)]
    if untested:
        found.append(f"Fewer than {MIN_SEEDS} seeds in common, too few to test: {untested}.")
    return found + unlike_pairs(comparison)


def unlike_pairs(comparison: Comparison) -> list[str]:
    """Return a sentence if any two runs of a pair were made by different code or processors;
    else []."""
    compared = {difference.methods for difference in comparison.differences}
    unlike = {d.methods for d in comparison.differences if d.pairs.num_across}
    if not unlike:
        return []
    return [
        f"{len(unlike)} of {len(compared)} comparisons pair runs of different versions of lamol or "
        "on different processors. There the same seed can give different random numbers."
    ]


def claims(comparison: Comparison) -> list[str]:
    """Return a sentence for each figure in which a method is significantly better than others,
    and one on chance. If there is none, return one that says why; [] for a single method."""
    better: dict[tuple[str, str], list[str]] = defaultdict(list)
    for difference in comparison.differences:
        if difference.is_significant:
            methods = difference.methods
            winner, loser = methods if difference.first_is_better else reversed(methods)
            interval = _interval(difference, *sorted(map(abs, difference.interval or ())))
            better[difference.figure, winner].append(
                f"than {loser} by {abs(difference.mean):.1f} points {interval}"
            )
    found = [
        f"{figure.replace('_', ' ')}: {winner} is better {'; '.join(losers)}."
        for (figure, winner), losers in better.items()
    ]
    if found:
        return [*found, _on_chance(comparison)]
    if comparison.differences:
        is_tested = any(one.interval is not None for one in comparison.differences)
        return [NO_CLAIM if is_tested else TOO_FEW]
    return [NO_PAIRS] if len(comparison.groups) > 1 else []


def _on_chance(comparison: Comparison) -> str:
    """Say how many differences were tested, because no correction is made for their number."""
    num_tested = sum(difference.interval is not None for difference in comparison.differences)
    num_significant = sum(difference.is_significant for difference in comparison.differences)
    return (
        f"{num_tested} differences were tested, each by itself, and {num_significant} are "
        f"significant. If no methods differed, about {(1 - CONFIDENCE) * num_tested:.1f} would be."
    )


def _not_significant(comparison: Comparison) -> Iterator[str]:
    """Yield a sentence for each figure and method that was tested and does not differ
    significantly from others."""
    others: dict[tuple[str, str], list[str]] = defaultdict(list)
    for difference in comparison.differences:
        if difference.is_significant or difference.interval is None:
            continue
        pairs = difference.pairs
        evidence = _interval(difference, *difference.interval)
        if difference.has_no_spread:
            evidence = f"in each of {len(pairs.by_seed)} seeds: no spread to judge by"
        if pairs.num_alike == pairs.num:
            evidence = f"the same scores in each of {pairs.num} runs"
        others[difference.figure, difference.first].append(
            f"from {difference.second} ({difference.mean:+.1f} {evidence})"
        )
    for (figure, first), found in others.items():
        name = figure.replace("_", " ")
        yield f"{name}: {first} does not differ significantly {'; '.join(found)}."


def _interval(difference: Difference, low: float, high: float) -> str:
    """Return an interval as text, with the numbers of seeds and pairs that it comes from."""
    pairs = difference.pairs
    parts = [f"{low:.1f}, {high:.1f}; {len(pairs.by_seed)} seeds"]
    if pairs.num != len(pairs.by_seed):
        parts.append(f"{pairs.num} pairs")
    if pairs.num_alike:
        parts.append(f"{pairs.num_alike} of {pairs.num} runs alike in every score")
    return f"[{', '.join(parts)}]"
