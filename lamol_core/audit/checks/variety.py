"""Variety: whether the rows say different things, each figure beside that of as many real rows.

distinct_n            different runs of n words / all runs of n words (Li et al. 2016)
compression           bytes after gzip / bytes before
self_bleu             mean BLEU of a row against all others, 0 to 100 (Zhu et al. 2018), on at
                      most 500 rows
distinct_2_ratio, compression_ratio    the figure / that of the real rows: low is poor
self_bleu_excess                       minus that of the real rows, in points: high is poor
"""

import gzip
import random
from collections.abc import Mapping, Sequence
from typing import ClassVar

from lamol_core.audit.limits import Limit, LowLimit
from lamol_core.audit.spec import Audited, Check, Figure, Finding
from lamol_core.config.section import Section
from lamol_core.seeds import derive_seed
from lamol_core.text.normalise import words_of

BLEU_ROWS = 500
BLEU_HYPOTHESES = 60
"""Of those rows, the ones that are scored against all others: the mean has settled by then."""
BLEU_LEAST = 10


class Variety(Check[Section]):
    name = "variety"
    title = "Does it say different things"
    limits: ClassVar = {
        "distinct_2_ratio": LowLimit(warn=0.6, fail=0.3),
        "compression_ratio": LowLimit(warn=0.6, fail=0.3),
        "self_bleu_excess": Limit(warn=20.0, fail=50.0),
    }

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task = {}
        mine_of_all: list[str] = []
        theirs_of_all: list[str] = []
        for task in audited.tasks:
            texts = task.texts(task.kept)
            size = task.reference.size_for(len(texts))
            chooser = random.Random(derive_seed(audited.seed, "variety", task.name))
            mine = chooser.sample(texts, size if size or not task.forgotten_on else len(texts))
            if task.forgotten_on:
                real = task.reference.measured(variety_of, size, chooser)
            else:
                theirs = chooser.sample(task.texts(task.train), size)
                real = variety_of(theirs)
                mine_of_all += mine
                theirs_of_all += theirs
            by_task[task.name] = _beside(variety_of(mine), real)
        figures = self.pooled(audited, by_task)
        chooser = random.Random(derive_seed(audited.seed, "self-bleu"))
        if len(mine_of_all) >= BLEU_LEAST:
            size = min(len(mine_of_all), BLEU_ROWS)
            own = self_bleu(chooser.sample(mine_of_all, size))
            real_bleu = self_bleu(chooser.sample(theirs_of_all, size))
            figures |= {
                "self_bleu": own,
                "self_bleu_real": real_bleu,
                "self_bleu_excess": own - real_bleu,
            }
        return Finding(self.name, figures, by_task)


def variety_of(texts: Sequence[str]) -> dict[str, Figure]:
    """distinct_1, distinct_2, distinct_3 and compression of some texts."""
    return {
        **{f"distinct_{n}": distinct(texts, n) for n in (1, 2, 3)},
        "compression": compression(texts),
    }


def _beside(mine: Mapping[str, Figure], real: Mapping[str, Figure]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for name, value in mine.items():
        figures |= {name: value, f"{name}_real": real.get(name)}
    for name in ("distinct_2", "compression"):
        figures[f"{name}_ratio"] = _ratio(mine[name], real.get(name))
    return figures


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Different runs of n words over all of them; None where no text has so many words."""
    runs = [
        tuple(words[i : i + n]) for words in map(words_of, texts) for i in range(len(words) - n + 1)
    ]
    return len(set(runs)) / len(runs) if runs else None


def compression(texts: Sequence[str]) -> float | None:
    joined = "\n".join(texts).encode()
    return len(gzip.compress(joined, mtime=0)) / len(joined) if joined else None


def self_bleu(texts: Sequence[str]) -> float:
    """The mean, over some of the texts, of the BLEU score against all others as references."""
    # late: see checks/__init__.py
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(effective_order=True, tokenize="none")
    split = [" ".join(words_of(text)) for text in texts]
    scores = [
        metric.sentence_score(split[i], split[:i] + split[i + 1 :]).score
        for i in range(min(len(split), BLEU_HYPOTHESES))
    ]
    return sum(scores) / len(scores)


def _ratio(mine: Figure, theirs: Figure) -> Figure:
    return mine / theirs if mine is not None and theirs else None
