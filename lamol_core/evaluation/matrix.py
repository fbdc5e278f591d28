"""The score matrix of a task sequence and the figures computed from it; all scores in percent."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lamol_core.artifacts.spec import METRICS, remedy
from lamol_core.errors import ArtifactError


@dataclass(frozen=True)
class ScoreMatrix:
    """R[i][j]: percent score on task j after learning task i, for T tasks; row i has i + 1 entries.

    An entry is None where the test rows of task j had been forgotten (`lamol forget`); means
    leave it out. Raises ArtifactError for a score that is not a number from 0 to 100."""

    tasks: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]

    def __post_init__(self) -> None:
        assert [len(row) for row in self.rows] == list(range(1, len(self.tasks) + 1)), self.rows
        for cell in self.cells():
            score = cell["score"]
            if not (math.isfinite(score) and 0 <= score <= 100):
                raise ArtifactError(
                    f"score matrix: '{cell['task']}' after learning '{cell['after']}' is {score}, "
                    f"which is no number from 0 to 100. {remedy(METRICS, cell['after'])}"
                )

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> "ScoreMatrix":
        """Return the matrix of a summary, or of one of its chains."""
        return cls(tuple(summary["tasks"]), tuple(map(tuple, summary["score_matrix"])))

    def cells(self) -> list[dict[str, Any]]:
        """Return a dictionary for each known score R[i][j]: `step` is i, `after` the name of
        task i, `rank` is j, `task` the name of task j."""
        return [
            {"step": i, "after": self.tasks[i], "rank": j, "task": self.tasks[j], "score": score}
            for i, row in enumerate(self.rows)
            for j, score in enumerate(row)
            if score is not None
        ]

    def final_average(self) -> float | None:
        """Mean over j of R[T][j], in percent; None where no score is known."""
        return _mean_of_known(self.rows[-1])

    def incremental_average(self) -> float | None:
        """Mean over i of the mean over j <= i of R[i][j], in percent; None where no score is known.
        Rebuffi et al. 2017."""
        return _mean_of_known([_mean_of_known(row) for row in self.rows])

    def forgetting_by_task(self) -> dict[str, float]:
        """For each task j < T: max over i < T of R[i][j], minus R[T][j], in points; below 0
        where the last score is the best one. Empty for one task. Chaudhry et al. 2018."""
        lost = {}
        for j, task in enumerate(self.tasks[:-1]):
            before = [score for row in self.rows[j:-1] if (score := row[j]) is not None]
            last = self.rows[-1][j]
            if before and last is not None:
                lost[task] = max(before) - last
        return lost

    def forgetting(self) -> float | None:
        """Mean of `forgetting_by_task`, in points; None for one task."""
        return _mean_of_known(self.forgetting_by_task().values())

    def backward_transfer(self) -> float | None:
        """Mean over j < T of R[T][j] - R[j][j], in points; None for one task.
        Lopez-Paz and Ranzato 2017, equation 3."""
        last_row = self.rows[-1]
        return _mean_of_known(
            last - score
            for j, row in enumerate(self.rows[:-1])
            if (last := last_row[j]) is not None and (score := row[j]) is not None
        )

    def not_scored(self) -> list[str]:
        """Return the tasks for which a score is missing."""
        without = {j for row in self.rows for j, score in enumerate(row) if score is None}
        return [self.tasks[j] for j in sorted(without)]


def _mean_of_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


@dataclass(frozen=True)
class ZeroShot:
    """Percent scores on a task that is not learnt yet: `before` is the score of the student of
    the previous task, `untrained` that of the backbone."""

    before: float
    untrained: float


def forward_transfer(later_tasks: Sequence[ZeroShot | None]) -> float | None:
    """Return the mean of `before` - `untrained` over the tasks after the first, in points. None
    where there is no such task, or one was not measured. Lopez-Paz and Ranzato 2017, equation 4."""
    measured = [task for task in later_tasks if task is not None]
    if not measured or len(measured) < len(later_tasks):
        return None
    return fmean(task.before - task.untrained for task in measured)
