"""How many pseudo-samples of each earlier task are wanted."""

from collections.abc import Sequence
from decimal import Decimal

from lamol_core.generation.params import GenerateParams
from lamol_core.records import TaskFacts


def rows_wanted(
    params: GenerateParams, new: TaskFacts, earlier: Sequence[TaskFacts], rehearses: bool = True
) -> dict[str, int]:
    """Rows of each earlier task for a new one, oldest first; none where no method `rehearses` them.

    floor(gamma * N) rows are shared evenly, the remainder goes to the oldest tasks; each task gets
    at least `rows_per_class` for each of its classes."""
    if not (rehearses and earlier):
        return {facts.name: 0 for facts in earlier}
    # in decimal: 0.29 of 100 rows is 29
    total = int(Decimal(str(params.gamma)) * new.num_rows["train"])
    share, remainder = divmod(total, len(earlier))
    return {
        facts.name: max(
            share + (index < remainder), params.rows_per_class * len(facts.learnt_classes)
        )
        for index, facts in enumerate(earlier)
    }
