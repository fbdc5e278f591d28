"""Samples of a forgotten task against the fingerprint of its rows: figures and flags of the check
`memorisation`, as far as hashes tell them."""

import numpy as np

from lamol_core.audit.fingerprint import Fingerprint
from lamol_core.audit.memorisation.keyed_hash import HashedTexts
from lamol_core.audit.memorisation.permutation import Pool, Shares, excess_of
from lamol_core.audit.memorisation.row_overlap import (
    FLAGGED_SPAN,
    USUAL,
    Numbers,
    lengths_of,
    overlap_figures,
)
from lamol_core.audit.spec import Figure, Flag, SampledTask
from lamol_core.seeds import derive_seed


def against_hashes(
    task: SampledTask, fingerprint: Fingerprint, seed: int, check: str, among: int
) -> tuple[dict[str, Figure], list[Flag]]:
    """Figures and flags of the samples that can be told; None of all others."""
    kept = [s for s in task.kept if fingerprint.can_tell(task.texts([s])[0])]
    figures: dict[str, Figure] = {"rows_told": float(len(kept))}
    if not kept:
        return figures, []
    texts = task.texts(kept)
    hashed, lengths = HashedTexts(texts, fingerprint.hashed), lengths_of(texts)
    train, held_out = fingerprint.all_train, fingerprint.all_held_out
    spans, exact = hashed.longest_runs(train), hashed.are_rows(train)
    unseen_spans, unseen_exact = hashed.longest_runs(held_out), hashed.are_rows(held_out)
    usual = float(np.quantile(unseen_spans, USUAL))
    flags = []
    for place, sample in enumerate(kept):
        if exact[place] and not unseen_exact[place]:
            reason = "exact_copy"
        elif spans[place] >= FLAGGED_SPAN and spans[place] > max(usual, unseen_spans[place]):
            reason = "long_span"
        else:
            continue
        flags.append(Flag(sample.row_id, task.name, check, reason, span_words=int(spans[place])))
    figures |= overlap_figures(spans, lengths, exact, exact)
    unseen = overlap_figures(unseen_spans, lengths, unseen_exact, unseen_exact)
    figures |= {f"{name}_held_out": value for name, value in unseen.items()}
    blocks = [*fingerprint.train, *fingerprint.held_out]
    if blocks:
        pool = Pool(np.zeros(len(blocks), int), np.arange(len(blocks)) < len(fingerprint.train))
        runs = np.stack([hashed.longest_runs(block) for block in blocks], axis=1)
        rows = np.stack([hashed.are_rows(block) for block in blocks], axis=1).astype(float)
        levels = {
            "overlap": np.maximum(spans, unseen_spans) / lengths,
            "copied": (exact | unseen_exact).astype(float),
        }
        for name, against, scale in (("overlap", runs, lengths), ("copied", rows, 1.0)):
            shares = _by_blocks(against, scale)
            given = shares.given(np.ones(len(kept), bool), len(pool))
            permuted = derive_seed(seed, "permutation", name, task.name)
            excess = excess_of(given, pool, float(levels[name].mean()), permuted, among)
            figures |= excess.figures(name) if excess else {}
    return figures, flags


def _by_blocks(against: Numbers, scale: Numbers | float) -> Shares:
    """Every sample gives its best figure (n, blocks) / scale to the blocks that have it."""
    best = against.max(axis=1)
    nearest = (against == best[:, None]) & (best > 0)[:, None]
    sets, group = np.unique(nearest, axis=0, return_inverse=True)
    return Shares(best / scale, group.reshape(-1), [np.flatnonzero(one) for one in sets])
