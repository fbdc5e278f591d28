"""Which of many pseudo-samples are kept, by their labels."""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise

NONE: Mapping[str, int] = MappingProxyType({})


def keep_best(
    samples: Sequence[PseudoSample], count: int, balance: bool, existing: Mapping[str, int] = NONE
) -> set[str]:
    """The ids of `count` valid samples of one task, which come in order of preference.

    A label is a normalised target. The first samples of each label are kept. With `balance` labels
    get equal numbers, `existing` rows included; else they keep the shares that they were drawn with
    (largest remainders). Where all targets differ, as in free text, the first samples are kept.
    """
    by_label: dict[str, list[str]] = {}
    for sample in samples:
        by_label.setdefault(normalise(sample.target), []).append(sample.row_id)
    # in the order of each label's first sample: it decides ties
    sizes = {label: len(ids) for label, ids in by_label.items()}
    quotas = even_quotas(sizes, count, existing) if balance else proportional_quotas(sizes, count)
    return {row_id for label, ids in by_label.items() for row_id in ids[: quotas[label]]}


def even_quotas(
    sizes: Mapping[str, int], count: int, existing: Mapping[str, int] = NONE
) -> dict[str, int]:
    """`count` over the labels, each to the first of those that have the fewest; none gives more
    than its size."""
    shares = (
        (existing.get(label, 0) + number, index, label)
        for index, (label, size) in enumerate(sizes.items())
        for number in range(size)
    )
    quotas = Counter(label for _, _, label in heapq.nsmallest(count, shares))
    return {label: quotas[label] for label in sizes}


def proportional_quotas(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """`count` over the labels by their sizes: whole parts, then the largest remainders."""
    total = sum(sizes.values())
    count = min(count, total)
    quotas = {label: count * size // total for label, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda label: -(count * sizes[label] % total))
    for label in by_remainder[: count - sum(quotas.values())]:
        quotas[label] += 1
    return quotas
