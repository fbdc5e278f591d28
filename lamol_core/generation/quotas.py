"""How many pseudo-samples of each earlier task are wanted."""

import random
from collections.abc import Mapping, Sequence
from decimal import Decimal

from lamol_core.generation.params import GenerateParams
from lamol_core.records import TaskFacts


def rows_wanted(
    params: GenerateParams, new: TaskFacts, earlier: Sequence[TaskFacts], rehearses: bool = True
) -> dict[str, int]:
    """How many rows of each earlier task are wanted for a new one, oldest task first.

    floor(gamma * N) rows are shared evenly, where N is the number of new training rows; the oldest
    tasks get the remainder. Each task gets at least `rows_per_class` rows per class. All counts are
    0 where the method does not rehearse."""
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


def draw_num_answers(
    shares: Mapping[int, int], count: int, most: int, seed: int
) -> tuple[int, ...]:
    """How many answers each of `count` rows of a task with several turns is to have, at most
    `most`. `shares`: how many training rows have so many. The first rows do not depend on `count`.
    """
    numbers, weights = zip(*shares.items(), strict=True)
    drawn = random.Random(seed).choices(numbers, weights, k=count)
    return tuple(min(number, most) for number in drawn)


def share_evenly(labels: Sequence[str], count: int, existing: Mapping[str, int]) -> dict[str, int]:
    """How many of `count` new rows each label gets, so that all labels have equal numbers, with
    `existing` rows counted; the first labels win ties."""
    shares = dict.fromkeys(labels, 0)
    for _ in range(count):
        shares[min(labels, key=lambda label: shares[label] + existing.get(label, 0))] += 1
    return shares
