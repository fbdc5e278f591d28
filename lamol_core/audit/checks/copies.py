"""Copies: rows that repeat other rows of the table.

duplicate_share         rows whose normalised text an earlier row of the task has
near_duplicate_share    rows like an earlier row: the Jaccard similarity of their sets of runs of
                        five characters is 0.8 or more, as MinHash (Broder 1997) of 64 permutations
                        estimates it
*_excess                that share minus the same share of as many real rows of the task
"""

import random
from collections.abc import Sequence
from typing import ClassVar

from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Figure, Finding, Flag
from lamol_core.config.section import Section
from lamol_core.seeds import derive_seed

SIMILAR = 0.8
PERMUTATIONS = 64


class Copies(Check[Section]):
    name = "copies"
    title = "Does it repeat itself"
    limits: ClassVar = {
        "duplicate_excess": Limit(warn=0.2, fail=0.5),
        "near_duplicate_excess": Limit(warn=0.3, fail=0.6),
    }

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task, flags = {}, []
        for task in audited.tasks:
            texts = task.texts(task.kept)
            size = task.reference.size_for(len(texts))
            chooser = random.Random(derive_seed(audited.seed, "copies", task.name))
            mine = chooser.sample(texts, size)
            real = task.reference.measured(repeat_shares, size, chooser)
            exact, near = repeats_of(texts)
            shares = _shares(exact, near, len(texts))
            of_as_many = shares if size == len(texts) else repeat_shares(mine)
            excesses = {
                f"{kind}_excess": _minus(of_as_many[f"{kind}_share"], real.get(f"{kind}_share"))
                for kind in ("duplicate", "near_duplicate")
            }
            by_task[task.name] = shares | excesses
            for place, sample in enumerate(task.kept):
                reason = "duplicate" if place in exact else "near_duplicate"
                if place in near:
                    flags.append(Flag(sample.row_id, task.name, self.name, reason))
        return Finding(self.name, self.pooled(audited, by_task), by_task, flags)


def repeats_of(texts: Sequence[str]) -> tuple[set[int], set[int]]:
    """The places of texts that an earlier one equals, and of those that equal or resemble one
    which is no repeat itself."""
    # late: see checks/__init__.py
    from datasketch import MinHash, MinHashLSH

    from lamol_core.audit.memorisation.neighbours import runs_of

    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        first.setdefault(text, place)
    exact = set(range(len(texts))) - set(first.values())
    near = set(exact)
    index = MinHashLSH(threshold=SIMILAR, num_perm=PERMUTATIONS)
    hashes = MinHash.bulk(
        [[run.encode() for run in runs_of(text)] for text in first], num_perm=PERMUTATIONS
    )
    seen: dict[int, MinHash] = {}
    for place, hashed in zip(first.values(), hashes, strict=True):
        if any(hashed.jaccard(seen[other]) >= SIMILAR for other in index.query(hashed)):
            near.add(place)
        else:  # a repeat resembles what it repeats: looking for that is enough, and stays quick
            index.insert(place, hashed)
            seen[place] = hashed
    return exact, near


def repeat_shares(texts: Sequence[str]) -> dict[str, Figure]:
    """The shares of `repeats_of`."""
    return _shares(*repeats_of(texts), len(texts))


def _shares(exact: set[int], near: set[int], size: int) -> dict[str, Figure]:
    return {
        "duplicate_share": len(exact) / size if size else None,
        "near_duplicate_share": len(near) / size if size else None,
    }


def _minus(mine: Figure, theirs: Figure) -> Figure:
    return None if mine is None or theirs is None else mine - theirs
