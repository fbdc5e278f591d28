"""What may be said of methods side by side, and no more."""

from collections.abc import Iterator, Sequence

from lamol_core.reporting.comparison.statistics import CONFIDENCE, MIN_SEEDS, Comparison, Difference

NOTHING_PAIRED = (
    "No two methods here have a seed, an order of tasks and data in common: nothing is said of one "
    "against another."
)
NOTHING_TOLD = (
    "No two methods are told apart by these runs "
    f"(a claim needs {MIN_SEEDS} seeds that two of them have in common)."
)


def sentences(comparison: Comparison) -> list[str]:
    """Claims first, then what is not told apart, then what has too few seeds, in one sentence."""
    with_interval = [one for one in comparison.differences if one.interval is not None]
    said = told(comparison)
    said += _not_told_apart([one for one in with_interval if not one.is_told_apart])
    compared = {(one.first, one.second) for one in with_interval}
    few = dict.fromkeys(
        f"{one.first} and {one.second}"
        for one in comparison.differences
        if (one.first, one.second) not in compared
    )
    if few:
        why = f"Fewer than {MIN_SEEDS} seeds in common, from which nothing follows"
        said.append(f"{why}: {'; '.join(few)}.")
    return said + across(comparison)


def across(comparison: Comparison) -> list[str]:
    """A sentence on pairs of runs that have less in common than their seed suggests, if any."""
    across = {(one.first, one.second) for one in comparison.differences if one.pairs.num_across}
    if not across:
        return []
    compared = {(one.first, one.second) for one in comparison.differences}
    return [
        f"{len(across)} of {len(compared)} comparisons pair runs of different versions of lamol or "
        "on different processors: the same seed need not be the same start there."
    ]


def told(comparison: Comparison) -> list[str]:
    """A sentence for each figure and each method that is better than others in it, and one on
    chance; one that says why where there is none, and nothing of a single method."""
    better: dict[tuple[str, str], list[str]] = {}
    for one in comparison.differences:
        if one.is_told_apart:
            pair = one.first, one.second
            winner, loser = pair if one.first_is_better else reversed(pair)
            shown = f"than {loser} by {abs(one.mean):.1f} points {_interval(one, one.mean < 0)}"
            better.setdefault((one.figure, winner), []).append(shown)
    claims = [
        f"{_words(figure)}: {winner} is better {'; '.join(others)}."
        for (figure, winner), others in better.items()
    ]
    if claims:
        return [*claims, _on_chance(comparison)]
    if comparison.differences:
        return [NOTHING_TOLD]
    return [NOTHING_PAIRED] if len(comparison.groups) > 1 else []


def _on_chance(comparison: Comparison) -> str:
    """No correction is made for many comparisons: whoever reads must know how many there are."""
    tested = sum(one.interval is not None for one in comparison.differences)
    found = sum(one.is_told_apart for one in comparison.differences)
    by_chance = (1 - CONFIDENCE) * tested
    return (
        f"{tested} differences were tested, each by itself, and {found} found: were there none at "
        f"all, some {by_chance:.1f} would have been found by chance."
    )


def _not_told_apart(differences: Sequence[Difference]) -> Iterator[str]:
    """A sentence for each figure and method, with all that it was held against."""
    against: dict[tuple[str, str], list[str]] = {}
    for one in differences:
        found = _interval(one, turned=False)
        if one.has_no_spread:
            found = f"in each of {len(one.by_seed)} seeds: no spread to judge by"
        if one.pairs.num_alike == one.pairs.num:
            found = f"the same scores in each of {one.pairs.num} runs"
        shown = f"from {one.second} ({one.mean:+.1f} {found})"
        against.setdefault((one.figure, one.first), []).append(shown)
    for (figure, first), others in against.items():
        yield f"{_words(figure)}: {first} is not told apart {'; '.join(others)}."


def _interval(one: Difference, turned: bool) -> str:
    """Of the mean difference (turned: the other way round), and what it is drawn from."""
    assert one.interval is not None, "enough seeds"
    low, high = one.interval
    if turned:
        low, high = -high, -low
    parts = [f"{low:.1f}, {high:.1f}; {len(one.by_seed)} seeds"]
    if one.pairs.num != len(one.by_seed):
        parts.append(f"{one.pairs.num} pairs")
    if one.pairs.num_alike:
        parts.append(f"{one.pairs.num_alike} of {one.pairs.num} runs alike in every score")
    return f"[{', '.join(parts)}]"


def _words(figure: str) -> str:
    return figure.replace("_", " ")
