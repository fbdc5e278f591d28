"""Choose by label which pseudo-samples are kept."""

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
    """The ids of the `count` samples to keep, from valid samples of one task in order of
    preference.

    A label is a normalised target. Of each label the first samples are kept. With `balance` all
    labels get equal numbers, counting `existing` rows. Without it they keep the shares in which
    they were drawn (largest remainders). Where all targets differ, as in free text, the first
    samples are kept."""
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
    """Share `count` rows evenly among the labels, counting `existing` rows. A label gets at most
    its size; the first labels win ties."""
    shares = (
        (existing.get(label, 0) + number, index, label)
        for index, (label, size) in enumerate(sizes.items())
        for number in range(size)
    )
    quotas = Counter(label for _, _, label in heapq.nsmallest(count, shares))
    return {label: quotas[label] for label in sizes}


def proportional_quotas(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Share `count` rows among the labels in proportion to their sizes, by largest remainders."""
    total = sum(sizes.values())
    count = min(count, total)
    quotas = {label: count * size // total for label, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda label: -(count * sizes[label] % total))
    for label in by_remainder[: count - sum(quotas.values())]:
        quotas[label] += 1
    return quotas
