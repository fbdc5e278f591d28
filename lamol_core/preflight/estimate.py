"""Seconds and bytes that a sequence will take: its work over this machine's rates."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lamol_core.preflight.rates import Rates
from lamol_core.preflight.work import TaskWork

FORWARD_SHARE = 1 / 3
"""Of a forward with its backward: a product of matrices and two for its gradients."""
STARTS = 5
"""Imports that a task costs: three stages load torch; four light ones, DVC's own time and the
loading of checkpoints take about as long as two more (docs/performance.md)."""


@dataclass(frozen=True)
class TaskEstimate:
    """Seconds by stage, start-up included in `start_up_s` alone."""

    work: TaskWork
    generate_s: float
    train_s: float
    evaluate_s: float
    start_up_s: float

    @property
    def total_s(self) -> float:
        return self.generate_s + self.train_s + self.evaluate_s + self.start_up_s


@dataclass(frozen=True)
class Estimate:
    """What a whole sequence takes from its beginning: each task's part, and disk for checkpoints
    and for what the method keeps."""

    tasks: tuple[TaskEstimate, ...]
    disk_bytes: int
    peak_memory_bytes: int

    @property
    def total_s(self) -> float:
        return sum(task.total_s for task in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        return {
            "seconds": self.total_s,
            "disk_bytes": self.disk_bytes,
            "peak_memory_bytes": self.peak_memory_bytes,
            "tasks": [
                {**asdict(one.work), **{k: v for k, v in asdict(one).items() if k != "work"}}
                for one in self.tasks
            ],
        }

    @property
    def sentence(self) -> str:
        return (
            f"about {say_time(self.total_s)} for {len(self.tasks)} tasks, "
            f"{_say_size(self.disk_bytes)} of checkpoints and what is kept, "
            f"{self.peak_memory_bytes / 1e9:.1f} GB of memory. Measured just now; "
            "other work on this machine makes it longer."
        )

    def rows(self) -> list[dict[str, str]]:
        """One row a task, for a table."""
        return [
            {
                "task": one.work.task,
                "rows": f"{one.work.new_rows} + {one.work.pseudo_rows}",
                "steps": str(one.work.steps),
                "generate": say_time(one.generate_s),
                "train": say_time(one.train_s),
                "evaluate": say_time(one.evaluate_s),
                "in all": say_time(one.total_s),
            }
            for one in self.tasks
        ]


def estimate(
    work: Sequence[TaskWork], rates: Rates, start_up_s: float, peak_memory_bytes: int
) -> Estimate:
    """`start_up_s`: what one stage takes before it works, imports above all."""
    tasks = tuple(
        TaskEstimate(
            one,
            generate_s=one.drawn_tokens / rates.drawn_tokens_per_s,
            train_s=one.trained_tokens / rates.trained_tokens_per_s
            + FORWARD_SHARE * one.taught_tokens / rates.trained_tokens_per_s
            + one.rows_after_training * rates.row_after_s,
            evaluate_s=one.answered_tokens / rates.answered_tokens_per_s,
            start_up_s=STARTS * start_up_s,
        )
        for one in work
    )
    disk = rates.backbone_bytes + len(tasks) * (rates.student_bytes + rates.state_bytes)
    return Estimate(tasks, disk, peak_memory_bytes)


def _say_size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"


def say_time(seconds: float) -> str:
    """Like "45 s", "12 min" or "1 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
