"""The score matrix of a task sequence and the figures drawn from it; everything is in percent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from lamol_core.artifacts.spec import METRICS, SUMMARY, remedy
from lamol_core.errors import ArtifactError

SCORES_NOTE = (
    "All scores are in percent (0 to 100); differences between scores are in percentage points."
)


@dataclass(frozen=True)
class ScoreMatrix:
    """R[i][j]: percent score on task j after learning task i, for T tasks; row i has i + 1 entries.

    An entry is None where the test rows of task j were forgotten before (`lamol forget`): every
    mean below is over the entries that there are. Raises ArtifactError where the rows are not such
    a triangle of numbers from 0 to 100."""

    tasks: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise ArtifactError(
                f"score matrix: tasks {list(self.tasks)} must be one or more different names. "
                "Mend `tasks` in params.yaml."
            )
        if [len(row) for row in self.rows] != list(range(1, len(self.tasks) + 1)):
            raise ArtifactError(
                f"score matrix: {len(self.tasks)} tasks need rows of 1 to {len(self.tasks)} "
                f"scores, not {[len(row) for row in self.rows]}. {remedy(SUMMARY)}"
            )
        for task, row in zip(self.tasks, self.rows, strict=True):
            for seen, score in zip(self.tasks, row, strict=False):
                if score is not None and not (math.isfinite(score) and 0 <= score <= 100):
                    raise ArtifactError(
                        f"score matrix: '{seen}' after learning '{task}' is {score}, not a percent "
                        f"of 0 to 100. {remedy(METRICS, task)}"
                    )

    def final_average(self) -> float | None:
        """Mean over j of R[T][j], in percent; None where no task can be scored."""
        return _mean_of_known(self.rows[-1])

    def incremental_average(self) -> float | None:
        """Mean over i of the mean over j <= i of R[i][j], in percent; None where there is no score.
        Rebuffi et al. 2017."""
        return _mean_of_known([_mean_of_known(row) for row in self.rows])

    def forgetting_by_task(self) -> dict[str, float]:
        """For each task j < T: max over i < T of R[i][j], minus R[T][j], in points; negative where
        the last task made it better than ever. Empty for one task. Chaudhry et al. 2018."""
        lost = {}
        for j, task in enumerate(self.tasks[:-1]):
            before = [score for row in self.rows[j:-1] if (score := row[j]) is not None]
            last = self.rows[-1][j]
            if before and last is not None:
                lost[task] = max(before) - last
        return lost

    def forgetting(self) -> float | None:
        """Mean of `forgetting_by_task`, in points; None for one task."""
        by_task = self.forgetting_by_task()
        return fmean(by_task.values()) if by_task else None

    def backward_transfer(self) -> float | None:
        """Mean over j < T of R[T][j] - R[j][j], in points; None for one task.
        Lopez-Paz and Ranzato 2017, equation 3."""
        changes = [
            last - when_new
            for j, row in enumerate(self.rows[:-1])
            if (last := self.rows[-1][j]) is not None and (when_new := row[j]) is not None
        ]
        return fmean(changes) if changes else None

    def not_scored(self) -> list[str]:
        """The tasks that a mean leaves out somewhere."""
        return [
            task
            for j, task in enumerate(self.tasks)
            if any(row[j] is None for row in self.rows[j:])
        ]


def _mean_of_known(row: Sequence[float | None]) -> float | None:
    known = [score for score in row if score is not None]
    return fmean(known) if known else None


@dataclass(frozen=True)
class ZeroShot:
    """Percent scores on a task that was not learnt yet: of the model before it, and of the backbone
    before any task."""

    before: float
    untrained: float


def forward_transfer(later_tasks: Sequence[ZeroShot | None]) -> float | None:
    """Mean over the tasks after the first of the score before learning the task minus the
    backbone's, in points; None where there is none, or one was not measured.
    Lopez-Paz and Ranzato 2017, equation 4."""
    measured = [task for task in later_tasks if task is not None]
    if not measured or len(measured) < len(later_tasks):
        return None
    return fmean(task.before - task.untrained for task in measured)
