"""How many pseudo-samples of each earlier task are wanted."""

from collections.abc import Sequence
from decimal import Decimal

from lamol_core.generation.params import GenerateParams
from lamol_core.records import TaskFacts


def rows_wanted(
    params: GenerateParams, new: TaskFacts, earlier: Sequence[TaskFacts], rehearses: bool = True
) -> dict[str, int]:
    """Rows of each earlier task for a new one, oldest first: an even share of floor(gamma * N), and
    no fewer than `rows_per_class` for each of a task's classes; none where no method `rehearses`
    them."""
    if not rehearses:
        return {facts.name: 0 for facts in earlier}
    shares = share_evenly(num_pseudo_rows(params.gamma, new.num_rows["train"]), len(earlier))
    return {
        facts.name: max(share, params.rows_per_class * len(facts.learnt_classes))
        for share, facts in zip(shares, earlier, strict=True)
    }


def num_pseudo_rows(gamma: float, num_new_rows: int) -> int:
    """floor(gamma * N), in decimal: 0.29 of 100 rows is 29."""
    return int(Decimal(str(gamma)) * num_new_rows)


def share_evenly(total: int, num_tasks: int) -> list[int]:
    """`total` over the earlier tasks, oldest first; the remainder goes to the oldest."""
    if num_tasks == 0:
        return []
    share, remainder = divmod(total, num_tasks)
    return [share + (index < remainder) for index in range(num_tasks)]
