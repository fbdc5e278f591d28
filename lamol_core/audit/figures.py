"""Figures of a check: as text, and joined over tasks."""

from collections.abc import Mapping

Figure = float | None  # None: not defined for so few rows, or not measured
FiguresByTask = Mapping[str, Mapping[str, Figure]]


def number(value: Figure) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


def with_interval(figure: str, figures: Mapping[str, Figure]) -> str:
    """A figure as text; the whole interval where the figure is its lower end."""
    low, high = figures.get(figure), figures.get(f"{figure}_high")
    return number(low) if low is None or high is None else f"{low:.3f} to {high:.3f}"


def share(part: int, whole: int) -> Figure:
    """part / whole; None for nothing of nothing."""
    return part / whole if whole else None


def pooled(by_task: FiguresByTask, weights: Mapping[str, int]) -> dict[str, Figure]:
    """The mean of each figure over tasks, weighted by their rows; None where no task has it."""
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
