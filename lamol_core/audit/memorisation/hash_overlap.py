"""Compares the samples of a forgotten task with the fingerprint of its rows. The result is those
figures and flags of the check `memorisation` that hashes can give."""

from itertools import compress

import numpy as np

from lamol_core.audit.figures import Figure
from lamol_core.audit.fingerprint import Fingerprint
from lamol_core.audit.memorisation import row_overlap
from lamol_core.audit.memorisation.keyed_hash import HashedTexts
from lamol_core.audit.memorisation.permutation import Numbers, Pool, Shares, excess_of
from lamol_core.audit.spec import SampledTask
from lamol_core.records import Flag
from lamol_core.seeds import derive_seed


def against_hashes(
    task: SampledTask, fingerprint: Fingerprint, seed: int, check: str, num_comparisons: int
) -> tuple[dict[str, Figure], list[Flag]]:
    """Return figures and flags of the kept samples that are long enough for a hash; if there are
    none, only the figure `rows_told` and no flags. `check` is the check's name in the flags. The
    intervals hold for `num_comparisons` tasks at once."""
    kept = [s for s in task.kept if fingerprint.covers(task.texts([s])[0])]
    figures: dict[str, Figure] = {"rows_told": float(len(kept))}
    if not kept:
        return figures, []
    texts = task.texts(kept)
    hashed, lengths = HashedTexts(texts, fingerprint.hashed), row_overlap.lengths_of(texts)
    train, held_out = fingerprint.all_hashes("train"), fingerprint.all_hashes("held_out")
    spans, exact = hashed.longest_runs(train), hashed.are_rows(train)
    unseen_spans, unseen_exact = hashed.longest_runs(held_out), hashed.are_rows(held_out)
    longest_unseen = np.maximum(row_overlap.usual_span(unseen_spans), unseen_spans)
    copies = exact & ~unseen_exact
    is_flagged = copies | ((spans >= row_overlap.FLAGGED_SPAN) & (spans > longest_unseen))
    reasons = np.where(copies, "exact_copy", "long_span").tolist()
    flags = [
        Flag(sample.row_id, task.name, check, reason, span_words=int(words))
        for sample, words, reason in compress(zip(kept, spans, reasons, strict=True), is_flagged)
    ]
    figures |= row_overlap.overlap_figures(spans, lengths, exact, exact)
    unseen = row_overlap.overlap_figures(unseen_spans, lengths, unseen_exact, unseen_exact)
    figures |= {f"{name}_held_out": value for name, value in unseen.items()}
    num_train = len(fingerprint.blocks["train"])
    blocks = [*fingerprint.blocks["train"], *fingerprint.blocks["held_out"]]
    if not blocks:
        return figures, flags
    pool = Pool(np.zeros(len(blocks), int), np.arange(len(blocks)) < num_train)
    runs = np.stack([hashed.longest_runs(block) for block in blocks], axis=1)
    rows = np.stack([hashed.are_rows(block) for block in blocks], axis=1).astype(float)
    overlap = np.maximum(spans, unseen_spans) / lengths
    copied = (exact | unseen_exact).astype(float)
    compared = ("overlap", runs, lengths, overlap), ("copied", rows, 1.0, copied)
    for name, by_block, scale, values in compared:
        received = _by_blocks(by_block, scale).received(np.ones(len(kept), bool), len(pool))
        permuted = derive_seed(seed, "permutation", name, task.name)
        excess = excess_of(received, pool, float(values.mean()), permuted, num_comparisons)
        figures |= excess.figures(name) if excess else {}
    return figures, flags


def _by_blocks(by_block: Numbers, scale: Numbers | float) -> Shares:
    """Return the weights that samples give to blocks. Each sample gives its largest value in
    `by_block` (n, blocks), divided by `scale`, to the blocks with that value."""
    best = by_block.max(axis=1)
    nearest = (by_block == best[:, None]) & (best > 0)[:, None]
    sets, group = np.unique(nearest, axis=0, return_inverse=True)
    return Shares(best / scale, group.reshape(-1), [np.flatnonzero(blocks) for blocks in sets])
