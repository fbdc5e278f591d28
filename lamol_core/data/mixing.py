"""Mix a task's real rows with pseudo rows into one training set."""

import random
from collections.abc import Sequence

from lamol_core.records import PSEUDO_LABEL, Example, MixOrigin, MixRow, PseudoSample
from lamol_core.seeds import derive_seed


def mix_rows(
    real: Sequence[Example], pseudo: Sequence[PseudoSample], task: str, seed: int
) -> list[MixRow]:
    """Put real rows and valid pseudo rows in a seeded order. A MixRow refers to its row by id and
    holds no text."""
    entries: list[tuple[MixOrigin, str, str, int]] = [
        ("new", row.task, row.row_id, row.label_idx_cil) for row in real
    ]
    entries += [
        ("pseudo", row.source_task, row.row_id, PSEUDO_LABEL) for row in pseudo if row.valid
    ]
    random.Random(derive_seed(seed, "mix", task)).shuffle(entries)
    return [MixRow(order, *entry) for order, entry in enumerate(entries)]
