"""Reduce the loss terms of a training's log to the points that a chart can show."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

MAX_POINTS = 60
NOT_TERMS = ("step", "grad_norm", "learning_rate", "tokens", "seconds", "tokens_per_s")


def thin_curve(log_rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Cut the log into at most MAX_POINTS stretches; returns the means of step and terms in each.

    A term is left out where the method does not have it, or where it is 0 or absent in every row of
    a stretch."""
    size = max(math.ceil(len(log_rows) / MAX_POINTS), 1)
    points = []
    for start in range(0, len(log_rows), size):
        stretch = log_rows[start : start + size]
        point = {"step": fmean(row["step"] for row in stretch)}
        for name in log_rows[0]:
            values = [row[name] for row in stretch if row[name] is not None]
            if name not in NOT_TERMS and (any(values) or name == "loss"):
                point[name] = float(f"{fmean(values):.5g}")
        points.append(point)
    return points
