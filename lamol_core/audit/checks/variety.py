"""Variety: whether the rows differ from each other, compared with equally many real rows.

distinct_n            number of distinct runs of n words / number of all runs of n words (Li et al.
                      2016)
compression           bytes after gzip / bytes before
self_bleu             mean BLEU of a row against all others, 0 to 100 (Zhu et al. 2018), on at
                      most 500 rows
*_real                the same figure of the real rows
distinct_2_ratio, compression_ratio    the figure / that of the real rows; low means little variety
self_bleu_excess      self_bleu minus that of the real rows, in points; high means little variety
"""

import gzip
import random
from collections.abc import Sequence
from typing import ClassVar

from lamol_core.audit.figures import Figure, share
from lamol_core.audit.limits import Limit, LowLimit
from lamol_core.audit.spec import Audited, Check, Finding
from lamol_core.config.section import Section
from lamol_core.seeds import derive_seed
from lamol_core.text.normalise import words_of

BLEU_ROWS = 500
BLEU_HYPOTHESES = 60  # rows scored against all others; more hardly change the mean
BLEU_LEAST = 10


class Variety(Check[Section]):
    name = "variety"
    title = "Does it say different things"
    about = "quality"
    limits: ClassVar = {
        "distinct_2_ratio": LowLimit(warn=0.6, fail=0.3),
        "compression_ratio": LowLimit(warn=0.6, fail=0.3),
        "self_bleu_excess": Limit(warn=20.0, fail=50.0),
    }

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task = {}
        all_pseudo: list[str] = []
        all_real: list[str] = []
        for task in audited.tasks:
            texts = task.texts(task.kept)
            size = task.reference.sample_size(len(texts))
            rng = random.Random(derive_seed(audited.seed, "variety", task.name))
            pseudo = rng.sample(texts, size if size or not task.forgotten_on else len(texts))
            if task.forgotten_on:
                real = task.reference.figures_of(variety_of, size, rng)
            else:
                real_texts = rng.sample(task.texts(task.train), size)
                real = variety_of(real_texts)
                all_pseudo += pseudo
                all_real += real_texts
            own = variety_of(pseudo)
            figures: dict[str, Figure] = {}
            for name, value in own.items():
                figures |= {name: value, f"{name}_real": real.get(name)}
            for name in ("distinct_2", "compression"):
                value, other = own[name], real.get(name)
                figures[f"{name}_ratio"] = value / other if value is not None and other else None
            by_task[task.name] = figures
        figures = self.pooled(audited, by_task)
        rng = random.Random(derive_seed(audited.seed, "self-bleu"))
        if len(all_pseudo) >= BLEU_LEAST:
            size = min(len(all_pseudo), BLEU_ROWS)
            bleu, bleu_real = (
                self_bleu(rng.sample(texts, size)) for texts in (all_pseudo, all_real)
            )
            figures |= {
                "self_bleu": bleu,
                "self_bleu_real": bleu_real,
                "self_bleu_excess": bleu - bleu_real,
            }
        return Finding(self.name, figures, by_task)


def variety_of(texts: Sequence[str]) -> dict[str, Figure]:
    """Return distinct_1, distinct_2, distinct_3 and compression of some texts; a figure is None
    where the texts have no run of n words, or no character."""
    joined = "\n".join(texts).encode()
    return {
        **{f"distinct_{n}": _distinct(texts, n) for n in (1, 2, 3)},
        "compression": share(len(gzip.compress(joined, mtime=0)), len(joined)),
    }


def _distinct(texts: Sequence[str], n: int) -> Figure:
    runs = [
        tuple(words[i : i + n]) for words in map(words_of, texts) for i in range(len(words) - n + 1)
    ]
    return share(len(set(runs)), len(runs))


def self_bleu(texts: Sequence[str]) -> float:
    """Return the mean BLEU score, 0 to 100, of the first BLEU_HYPOTHESES texts, each against all
    other texts as references."""
    # late: see checks/__init__.py
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(effective_order=True, tokenize="none")
    split = [" ".join(words_of(text)) for text in texts]
    scores = [
        metric.sentence_score(split[i], split[:i] + split[i + 1 :]).score
        for i in range(min(len(split), BLEU_HYPOTHESES))
    ]
    return sum(scores) / len(scores)
