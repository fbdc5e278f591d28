"""What may be said of methods side by side, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lamol_core.comparison.statistics import COMPARED, MIN_SEEDS, Comparison, Difference

NOTHING_TOLD = "No two methods are told apart by these runs."


def sentences(comparison: Comparison) -> list[str]:
    """Claims first, then what is not told apart, then what has too few seeds, in one sentence."""
    if not comparison.differences:
        return []
    untold = [one for one in comparison.differences if one.interval and not one.is_told_apart]
    few = [f"{one.first} and {one.second}" for one in comparison.differences if not one.interval]
    return [
        *(claims(comparison) or [NOTHING_TOLD]),
        *_not_told_apart(untold),
        *(
            [
                f"Fewer than {MIN_SEEDS} seeds in common, from which nothing follows: "
                f"{'; '.join(dict.fromkeys(few))}."
            ]
            if few
            else []
        ),
    ]


def claims(comparison: Comparison, figures: Sequence[str] = COMPARED) -> list[str]:
    """A sentence for each figure and each method that is better than others in it."""
    better: dict[tuple[str, str], list[str]] = {}
    for one in comparison.differences:
        if one.is_told_apart and one.figure in figures:
            winner, loser = one.first, one.second
            if not one.first_is_better:
                winner, loser = loser, winner
            shown = f"than {loser} by {abs(one.mean):.1f} points {_interval(one, one.mean < 0)}"
            better.setdefault((one.figure, winner), []).append(shown)
    return [
        f"{_words(figure)}: {winner} is better {'; '.join(others)}."
        for (figure, winner), others in better.items()
    ]


def _not_told_apart(differences: Sequence[Difference]) -> Iterator[str]:
    """A sentence for each figure and method, with all that it was held against."""
    against: dict[tuple[str, str], list[str]] = {}
    for one in differences:
        shown = f"from {one.second} ({one.mean:+.1f} {_interval(one, False)})"
        against.setdefault((one.figure, one.first), []).append(shown)
    for (figure, first), others in against.items():
        yield f"{_words(figure)}: {first} is not told apart {'; '.join(others)}."


def _interval(one: Difference, turned: bool) -> str:
    """Of the mean difference (turned: the other way round), and what it is drawn from."""
    assert one.interval is not None, "enough seeds"
    low, high = one.interval
    if turned:
        low, high = -high, -low
    pairs = "" if one.num_pairs == len(one.by_seed) else f", {one.num_pairs} pairs"
    return f"[{low:.1f}, {high:.1f}; {len(one.by_seed)} seeds{pairs}]"


def _words(figure: str) -> str:
    return figure.replace("_", " ")
