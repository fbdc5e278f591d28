"""Copies: rows that repeat other rows of the table.

duplicate_share         share of rows whose normalised text equals that of an earlier row of the
                        task
near_duplicate_share    share of rows that equal or resemble an earlier row of the task: the Jaccard
                        similarity of their sets of five-character runs is at least 0.8, as
                        estimated by MinHash (Broder 1997) with 64 permutations
*_excess                the share minus the same share among equally many real rows of the task
"""

import random
from collections.abc import Sequence
from typing import ClassVar

from lamol_core.audit.figures import Figure, share
from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Finding
from lamol_core.config.section import Section
from lamol_core.seeds import derive_seed

SIMILAR = 0.8
PERMUTATIONS = 64


class Copies(Check[Section]):
    name = "copies"
    title = "Does it repeat itself"
    about = "quality"
    row_verdict = "repeat"
    limits: ClassVar = {
        "duplicate_excess": Limit(warn=0.2, fail=0.5),
        "near_duplicate_excess": Limit(warn=0.3, fail=0.6),
    }

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task, flags = {}, []
        for task in audited.tasks:
            texts = task.texts(task.kept)
            size = task.reference.sample_size(len(texts))
            rng = random.Random(derive_seed(audited.seed, "copies", task.name))
            pseudo_sample = rng.sample(texts, size)
            real = task.reference.figures_of(repeat_shares, size, rng)
            exact, near = repeats_of(texts)
            figures = _shares(exact, near, len(texts))
            at_size = figures if size == len(texts) else repeat_shares(pseudo_sample)
            for kind in ("duplicate", "near_duplicate"):
                own, other = at_size[f"{kind}_share"], real.get(f"{kind}_share")
                figures[f"{kind}_excess"] = None if own is None or other is None else own - other
            by_task[task.name] = figures
            flags += [
                self.flag(task.kept[i], "duplicate" if i in exact else "near_duplicate")
                for i in sorted(near)
            ]
        return Finding(self.name, self.pooled(audited, by_task), by_task, flags)


def repeats_of(texts: Sequence[str]) -> tuple[set[int], set[int]]:
    """Return the indices of texts that equal an earlier text, and of texts that equal or resemble
    one. A text counts as resembling only if the earlier text is not in the second set itself."""
    # late: see checks/__init__.py
    from datasketch import MinHash, MinHashLSH

    from lamol_core.audit.memorisation.neighbours import runs_of

    first: dict[str, int] = {}
    for index, text in enumerate(texts):
        first.setdefault(text, index)
    exact = set(range(len(texts))) - set(first.values())
    near = set(exact)
    seen = MinHashLSH(threshold=SIMILAR, num_perm=PERMUTATIONS)
    hashes = MinHash.bulk(
        [[run.encode() for run in runs_of(text)] for text in first], num_perm=PERMUTATIONS
    )
    by_index = dict(zip(first.values(), hashes, strict=True))
    for index, hashed in by_index.items():
        if any(hashed.jaccard(by_index[other]) >= SIMILAR for other in seen.query(hashed)):
            near.add(index)
        else:  # only texts that are no repeat are indexed
            seen.insert(index, hashed)
    return exact, near


def repeat_shares(texts: Sequence[str]) -> dict[str, Figure]:
    """Return duplicate_share and near_duplicate_share of normalised texts; None where there is
    no text."""
    return _shares(*repeats_of(texts), len(texts))


def _shares(exact: set[int], near: set[int], size: int) -> dict[str, Figure]:
    return {
        "duplicate_share": share(len(exact), size),
        "near_duplicate_share": share(len(near), size),
    }
