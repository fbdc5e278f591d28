"""Making the fingerprint of a task's rows, before they are forgotten."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lamol_core.audit.checks.copies import repeat_shares
from lamol_core.audit.checks.variety import variety_of
from lamol_core.audit.fingerprint import FIGURES, HASHES, Fingerprint, own_key, to_files
from lamol_core.audit.loading import sampled_task
from lamol_core.audit.memorisation.keyed_hash import KeyedHash
from lamol_core.audit.memorisation.permutation import LEAST_BLOCK, Blocks, cut_blocks
from lamol_core.audit.reference import Figure, Measure
from lamol_core.audit.spec import SampledTask
from lamol_core.data.task_data import TaskData
from lamol_core.seeds import derive_seed

SIZES = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
"""Figures are kept for so many rows: samples are compared with the largest size they reach."""
MEASURES: tuple[Measure, ...] = (repeat_shares, variety_of)


def fingerprint_files(
    own: TaskData, key_file: Path, seed: int, is_wanted: bool
) -> dict[str, bytes]:
    """The files of a task's fingerprint: those that are there, new ones where they are wanted and
    all rows are still here, else none."""
    there = {name: own.folder / name for name in (HASHES, FIGURES)}
    if all(path.is_file() for path in there.values()):
        return {name: path.read_bytes() for name, path in there.items()}
    if own.forgotten(own.name) or not is_wanted:
        return {}
    key = own_key(key_file)
    task = sampled_task(own, len(own.lineage) - 1, (), key_file)
    return to_files(fingerprint_of(task, key, seed))


def fingerprint_of(task: SampledTask, key: bytes, seed: int) -> Fingerprint:
    """Of a task whose rows are all here; nothing of its samples is used."""
    hashed = KeyedHash(key)
    texts, held_out = task.texts(task.train), task.texts(task.held_out)
    rng = random.Random(derive_seed(seed, "fingerprint", task.name))
    blocks = cut_blocks(texts, held_out, rng)
    if blocks is None or len(blocks.held_out[0]) < LEAST_BLOCK:
        # hashes of a block of few rows would reveal too much of each: no headline then
        blocks = Blocks([], [], texts, held_out)
    return Fingerprint(
        hashed,
        [hashed.corpus(block) for block in blocks.train],
        [hashed.corpus(block) for block in blocks.held_out],
        hashed.corpus(blocks.train_rest),
        hashed.corpus(blocks.held_out_rest),
        task.reference.labels,
        Counter(task.reference.lengths),
        {measure.__name__: _by_size(measure, texts, rng) for measure in MEASURES},
    )


def _by_size(
    measure: Measure, texts: Sequence[str], rng: random.Random
) -> dict[int, dict[str, Figure]]:
    sizes = sorted({size for size in (*SIZES, len(texts)) if 0 < size <= len(texts)})
    return {size: dict(measure(rng.sample(texts, size))) for size in sizes}
