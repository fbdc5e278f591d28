"""Faithfulness: whether the rows are of the task that they were drawn for.

unknown_label_share       targets that no training row of the task has (tasks with classes)
label_variation           total variation distance between the labels' shares and the real ones
label_variation_excess    what of it goes beyond that of 95 % of samples of this size from the real
                          shares
length_distance           Kolmogorov-Smirnov statistic of the numbers of words
length_excess             what of it goes beyond the critical value at 1 %
nll                       mean negative log-likelihood a token under the teacher, in nats
disagreement_share        1 - the task's own metric of the teacher's greedy answers to the rows'
                          inputs, their targets being what is right (where it was asked:
                          audit.ask_teacher); flagged are rows of less than 0.5. Of classes that is
                          the share of other answers; free text is sampled, and so seldom the same

Distances as usual (total variation; Smirnov 1939 for the statistic and its critical value).
"""

import math
from collections import Counter
from typing import ClassVar

import numpy as np

from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Figure, Finding, Flag, SampledTask
from lamol_core.config.section import Section
from lamol_core.metrics.registry import score_rows
from lamol_core.records import PseudoSample
from lamol_core.seeds import derive_seed
from lamol_core.text.normalise import normalise, words_of

AGREES = 0.5
TRIALS = 400
KS_1_PERCENT = 1.628
"""sqrt(-ln(0.01 / 2) / 2): of two samples, large ones."""


class Faithfulness(Check[Section]):
    name = "faithfulness"
    title = "Is it of its task"
    limits: ClassVar = {
        "unknown_label_share": Limit(warn=0.02, fail=0.2),
        "label_variation_excess": Limit(warn=0.1, fail=0.4),
        "length_excess": Limit(warn=0.1, fail=0.4),
        "disagreement_share": Limit(warn=0.2, fail=0.5),
    }
    tells_poor_samples = True

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task: dict[str, dict[str, Figure]] = {}
        flags, answers = [], audited.teacher.answers
        for task in audited.tasks:
            figures: dict[str, Figure] = {}
            if task.has_classes and task.kept:
                unknown = _unknown(task)
                figures |= _labels(task, derive_seed(audited.seed, "labels", task.name))
                figures["unknown_label_share"] = len(unknown) / len(task.kept)
                flags += [Flag(s.row_id, task.name, self.name, "unknown_label") for s in unknown]
            figures |= _lengths(task)
            known = [s.nll for s in task.kept if np.isfinite(s.nll)]
            figures["nll"] = float(np.mean(known)) if known else None
            if answers is not None and task.kept:
                targets = [sample.target for sample in task.kept]
                scores = score_rows(task.facts.metric, answers(task.kept), targets)
                figures["disagreement_share"] = 1 - sum(scores) / len(scores)
                flags += [
                    Flag(sample.row_id, task.name, self.name, "teacher_disagrees")
                    for sample, score in zip(task.kept, scores, strict=True)
                    if score < AGREES
                ]
            by_task[task.name] = figures
        return Finding(self.name, self.pooled(audited, by_task), by_task, flags)


def _unknown(task: SampledTask) -> list[PseudoSample]:
    known = set(task.reference.labels)
    if task.forgotten_on and not known:
        known = {normalise(label) for label in task.facts.classes}
    return [sample for sample in task.kept if normalise(sample.target) not in known]


def _labels(task: SampledTask, seed: int) -> dict[str, Figure]:
    real = task.reference.labels
    labels = sorted(real)
    drawn = Counter(normalise(sample.target) for sample in task.kept)
    known = np.array([drawn[label] for label in labels])
    size = int(known.sum())
    if size == 0:
        return {"label_variation": None, "label_variation_excess": None}
    shares = np.array([real[label] for label in labels]) / real.total()
    distance = float(np.abs(known / size - shares).sum() / 2)
    samples = np.random.default_rng(seed).multinomial(size, shares, size=TRIALS) / size
    by_chance = float(np.quantile(np.abs(samples - shares).sum(axis=1) / 2, 0.95))
    return {"label_variation": distance, "label_variation_excess": max(distance - by_chance, 0.0)}


def _lengths(task: SampledTask) -> dict[str, Figure]:
    # late: see checks/__init__.py
    from scipy.stats import ks_2samp

    mine = [len(words_of(text)) for text in task.texts(task.kept)]
    theirs = task.reference.lengths
    if not mine or not theirs:
        return {"length_distance": None, "length_excess": None}
    distance = float(ks_2samp(mine, theirs, method="asymp").statistic)
    critical = KS_1_PERCENT * math.sqrt((len(mine) + len(theirs)) / (len(mine) * len(theirs)))
    return {"length_distance": distance, "length_excess": max(distance - critical, 0.0)}
