"""Makes the fingerprint of a task's rows before they are forgotten."""

import random
from collections.abc import Sequence
from pathlib import Path

from lamol_core.audit.checks.copies import repeat_shares
from lamol_core.audit.checks.variety import variety_of
from lamol_core.audit.figures import Figure
from lamol_core.audit.fingerprint import FIGURES, HASHES, Fingerprint, own_key, to_files
from lamol_core.audit.loading import sampled_task
from lamol_core.audit.memorisation.keyed_hash import KeyedHash
from lamol_core.audit.memorisation.permutation import cut_blocks
from lamol_core.audit.reference import Measure
from lamol_core.audit.spec import SampledTask
from lamol_core.data.task_data import TaskData
from lamol_core.seeds import derive_seed

SIZES = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
"""Figures are kept for these numbers of rows. Samples are compared at the largest that they
reach."""
MEASURES: tuple[Measure, ...] = (repeat_shares, variety_of)


def fingerprint_files(
    own: TaskData, key_file: Path, seed: int, is_wanted: bool
) -> dict[str, bytes]:
    """Return the files of a task's fingerprint by name: those on disk; or new ones if
    `is_wanted` and all rows are still on disk; else {}."""
    there = {name: own.folder / name for name in (HASHES, FIGURES)}
    if all(path.is_file() for path in there.values()):
        return {name: path.read_bytes() for name, path in there.items()}
    if own.forgotten(own.name) or not is_wanted:
        return {}
    key = own_key(key_file)
    task = sampled_task(own, len(own.lineage) - 1, (), key_file)
    return to_files(fingerprint_of(task, key, seed))


def fingerprint_of(task: SampledTask, key: bytes, seed: int) -> Fingerprint:
    """Return the fingerprint of a task whose rows are all on disk. Its samples are not used."""
    hashed, texts = KeyedHash(key), task.texts(task.train)
    rng = random.Random(derive_seed(seed, "fingerprint", task.name))
    blocks = cut_blocks(texts, task.texts(task.held_out), rng)
    return Fingerprint(
        hashed=hashed,
        blocks={side: [hashed.corpus(block) for block in cut] for side, cut in blocks.items()},
        labels=task.reference.labels,
        lengths=task.reference.lengths,
        figures={measure.__name__: _by_size(measure, texts, rng) for measure in MEASURES},
    )


def _by_size(
    measure: Measure, texts: Sequence[str], rng: random.Random
) -> dict[int, dict[str, Figure]]:
    sizes = sorted({size for size in (*SIZES, len(texts)) if 0 < size <= len(texts)})
    return {size: dict(measure(rng.sample(texts, size))) for size in sizes}
