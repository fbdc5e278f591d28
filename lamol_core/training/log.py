"""Loss terms over a training's steps, thinned to what a chart can show."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

MAX_POINTS = 60
NOT_TERMS = ("step", "grad_norm", "learning_rate", "tokens", "seconds", "tokens_per_s")


def thin_curve(log_rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The means of at most MAX_POINTS neighbouring stretches of the log: step and each term.

    Terms that the method does not have, or that no row of a stretch took part in, are left out.
    """
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
