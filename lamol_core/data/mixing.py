"""How many pseudo rows a task gets, and the training set that real and pseudo rows make."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

from lamol_core.records import PSEUDO_LABEL, Example, MixOrigin, MixRow, PseudoSample
from lamol_core.seeds import derive_seed


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


def mix_rows(
    real: Sequence[Example], pseudo: Sequence[PseudoSample], task: str, seed: int
) -> list[MixRow]:
    """Real and valid pseudo rows in a seeded order, by reference."""
    entries: list[tuple[MixOrigin, str, str, int]] = [
        ("new", row.task, row.row_id, row.label_idx_cil) for row in real
    ]
    entries += [
        ("pseudo", row.source_task, row.row_id, PSEUDO_LABEL) for row in pseudo if row.valid
    ]
    random.Random(derive_seed(seed, "mix", task)).shuffle(entries)
    return [MixRow(order, *entry) for order, entry in enumerate(entries)]
