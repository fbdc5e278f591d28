"""Which of many pseudo-samples are kept: the likeliest, or the first, of each label."""

import heapq
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise


def keep_best(
    samples: Sequence[PseudoSample],
    count: int,
    balance: bool,
    likeliest: bool = True,
    have: Mapping[str, int] = MappingProxyType({}),
) -> set[str]:
    """The ids of the `count` samples that are kept, of one task's valid ones, beside the rows of
    each label that there are already (`have`).

    A label is a target's text. Within a label the ones with the lowest nll are kept, or the ones
    that were drawn first: choosing the likeliest is choosing the least various. With
    `balance` every label gets the same number as far as it has them; else labels keep the shares
    they were drawn with (largest remainders). Where every target is another, as in free text, that
    is the likeliest samples of all.
    """
    by_label: dict[str, list[PseudoSample]] = {}
    for sample in sorted(
        samples, key=lambda s: (s.nll if likeliest else s.attempt, s.gen_index, s.row_id)
    ):
        by_label.setdefault(normalise(sample.target), []).append(sample)
    # in the order of each label's first sample here: where labels tie, that one goes first
    sizes = {label: len(rows) for label, rows in by_label.items()}
    quotas = even_quotas(sizes, count, have) if balance else proportional_quotas(sizes, count)
    return {row.row_id for label, rows in by_label.items() for row in rows[: quotas[label]]}


def even_quotas(
    sizes: Mapping[str, int], count: int, have: Mapping[str, int] = MappingProxyType({})
) -> dict[str, int]:
    """`count` over the labels, each to the first of those that have the fewest; none gives more
    than its size."""
    quotas = dict.fromkeys(sizes, 0)
    fewest = [(have.get(label, 0), place, label) for place, label in enumerate(sizes)]
    heapq.heapify(fewest)
    while fewest and count > 0:
        number, place, label = heapq.heappop(fewest)
        if quotas[label] < sizes[label]:
            quotas[label] += 1
            count -= 1
            heapq.heappush(fewest, (number + 1, place, label))
    return quotas


def proportional_quotas(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """`count` over the labels by their sizes: whole parts, then the largest remainders."""
    total = sum(sizes.values())
    count = min(count, total)
    quotas = {label: count * size // total for label, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda label: -(count * sizes[label] % total))
    for label in by_remainder[: count - sum(quotas.values())]:
        quotas[label] += 1
    return quotas
