"""Figures of a check: formatting as text, and means over tasks."""

from collections.abc import Mapping

Figure = float | None  # None: not measured, or undefined with so few rows
FiguresByTask = Mapping[str, Mapping[str, Figure]]
ROUNDING = 1e-12
"""Values nearer to 0 than this are what rounding leaves."""


def number(value: Figure) -> str:
    """Return a figure as text, "" for None."""
    if value is None:
        return ""
    value = 0.0 if abs(value) < ROUNDING else value
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


def with_interval(figure: str, figures: Mapping[str, Figure]) -> str:
    """Return a figure as text; "low to high" where it is the lower end of an interval; "" for
    None."""
    low, high = figures.get(figure), figures.get(f"{figure}_high")
    return number(low) if low is None or high is None else f"{low:.3f} to {high:.3f}"


def share(part: int, whole: int) -> Figure:
    """Return part / whole; None where `whole` is 0."""
    return part / whole if whole else None


def pooled(by_task: FiguresByTask, weights: Mapping[str, int]) -> dict[str, Figure]:
    """Return the mean of each figure over the tasks that have it, weighted by `weights` (rows by
    task); None where no task has it."""
    means: dict[str, Figure] = {}
    for name in dict.fromkeys(name for figures in by_task.values() for name in figures):
        known = [
            (value, weights[task])
            for task, figures in by_task.items()
            if (value := figures.get(name)) is not None
        ]
        total = sum(weight for _, weight in known)
        means[name] = sum(v * w for v, w in known) / total if total else None
    return means
