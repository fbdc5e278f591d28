"""How many pseudo-samples of each earlier task are wanted."""

from collections.abc import Sequence
from decimal import Decimal

from lamol_core.generation.params import GenerateParams
from lamol_core.records import TaskFacts


def rows_wanted(
    params: GenerateParams, new: TaskFacts, earlier: Sequence[TaskFacts]
) -> dict[str, int]:
    """Rows of each earlier task for a new one, oldest first."""
    num_classes = [len(facts.learnt_classes) for facts in earlier]
    shares = pseudo_rows_by_task(
        params.gamma, new.num_rows["train"], num_classes, params.rows_per_class
    )
    return dict(zip((facts.name for facts in earlier), shares, strict=True))


def num_pseudo_rows(gamma: float, num_new_rows: int) -> int:
    """floor(gamma * N), in decimal: 0.29 of 100 rows is 29."""
    return int(Decimal(str(gamma)) * num_new_rows)


def share_evenly(total: int, num_tasks: int) -> list[int]:
    """`total` over the earlier tasks, oldest first; the remainder goes to the oldest."""
    if num_tasks == 0:
        return []
    share, remainder = divmod(total, num_tasks)
    return [share + (index < remainder) for index in range(num_tasks)]


def pseudo_rows_by_task(
    gamma: float, num_new_rows: int, num_classes: Sequence[int], rows_per_class: int = 0
) -> list[int]:
    """Pseudo rows of each earlier task, oldest first: an even share of floor(gamma * N), and no
    fewer than `rows_per_class` for each of a task's classes. `num_classes` is 0 for free text."""
    shares = share_evenly(num_pseudo_rows(gamma, num_new_rows), len(num_classes))
    return [
        max(share, rows_per_class * classes)
        for share, classes in zip(shares, num_classes, strict=True)
    ]
