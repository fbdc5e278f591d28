"""Faithfulness: whether the rows belong to the task that they were drawn for.

unknown_label_share       share of rows whose target is no label of the task (tasks with classes)
label_variation           total variation distance between the label shares of the rows and those of
                          the real rows
label_variation_excess    how far label_variation exceeds the 95 % quantile of samples of the same
                          size, drawn from the real label shares; 0 where it does not
length_distance           Kolmogorov-Smirnov statistic between the word counts of the rows and those
                          of the real rows
length_excess             how far length_distance exceeds its critical value at 1 %; 0 where it does
                          not
nll                       mean negative log-likelihood per token under the teacher, in nats
disagreement_share        1 - mean score of the teacher's greedy answers to the rows' inputs, by the
                          task's own metric, with the rows' targets as references (needs
                          audit.ask_teacher). Rows that score below 0.5 are flagged. For classes
                          it is the share of rows with another answer. For free text it is usually
                          high, because the targets are sampled

The statistic of the lengths and its critical value are those of Smirnov 1939.
"""

import math
from collections import Counter
from collections.abc import Mapping
from itertools import compress
from typing import ClassVar

import numpy as np

from lamol_core.audit.figures import Figure
from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Finding, SampledTask
from lamol_core.config.section import Section
from lamol_core.metrics.registry import score_rows
from lamol_core.seeds import derive_seed
from lamol_core.text.normalise import normalise, words_of

AGREES = 0.5
TRIALS = 400
KS_1_PERCENT = 1.628  # sqrt(-ln(0.01 / 2) / 2), for two large samples


class Faithfulness(Check[Section]):
    name = "faithfulness"
    title = "Does it belong to its task"
    about = "quality"
    row_verdict = "wrong"
    limits: ClassVar = {
        "unknown_label_share": Limit(warn=0.02, fail=0.2),
        "label_variation_excess": Limit(warn=0.1, fail=0.4),
        "length_excess": Limit(warn=0.1, fail=0.4),
        "disagreement_share": Limit(warn=0.2, fail=0.5),
    }
    shows_poor_samples = True

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task: dict[str, dict[str, Figure]] = {}
        flags, answers = [], audited.teacher.answers
        for task in audited.tasks:
            kept, targets = task.kept, [normalise(sample.target) for sample in task.kept]
            figures: dict[str, Figure] = {}
            if task.has_classes and kept:
                labels: Mapping[str, int] = task.reference.labels
                if task.forgotten_on and not labels:
                    labels = dict.fromkeys(map(normalise, task.facts.classes), 0)
                forms, real = audited.teacher.forms(labels), Counter[str]()
                for label, count in labels.items():
                    real[normalise(forms.get(label, label))] += count
                is_unknown = [target not in real for target in targets]
                flags += [self.flag(s, "unknown_label") for s in compress(kept, is_unknown)]
                seed = derive_seed(audited.seed, "labels", task.name)
                figures |= _labels(Counter(targets), +real, seed)
                figures["unknown_label_share"] = sum(is_unknown) / len(kept)
            figures |= _lengths(task)
            finite = [sample.nll for sample in kept if np.isfinite(sample.nll)]
            figures["nll"] = float(np.mean(finite)) if finite else None
            if answers is not None and kept:
                scores = score_rows(task.facts.metric, answers(kept), [s.target for s in kept])
                figures["disagreement_share"] = 1 - sum(scores) / len(scores)
                disagrees = (score < AGREES for score in scores)
                flags += [self.flag(s, "teacher_disagrees") for s in compress(kept, disagrees)]
            by_task[task.name] = figures
        return Finding(self.name, self.pooled(audited, by_task), by_task, flags)


def _labels(drawn: Counter[str], real: Counter[str], seed: int) -> dict[str, Figure]:
    labels = sorted(real)
    counts = np.array([drawn[label] for label in labels])
    size = int(counts.sum())
    if size == 0:
        return {"label_variation": None, "label_variation_excess": None}
    shares = np.array([real[label] for label in labels]) / real.total()
    distance = float(np.abs(counts / size - shares).sum() / 2)
    samples = np.random.default_rng(seed).multinomial(size, shares, size=TRIALS) / size
    by_chance = float(np.quantile(np.abs(samples - shares).sum(axis=1) / 2, 0.95))
    return {"label_variation": distance, "label_variation_excess": max(distance - by_chance, 0.0)}


def _lengths(task: SampledTask) -> dict[str, Figure]:
    # late: see checks/__init__.py
    from scipy.stats import ks_2samp

    pseudo = [len(words_of(text)) for text in task.texts(task.kept)]
    real = list(task.reference.lengths.elements())
    if not pseudo or not real:
        return {"length_distance": None, "length_excess": None}
    distance = float(ks_2samp(pseudo, real, method="asymp").statistic)
    critical = KS_1_PERCENT * math.sqrt((len(pseudo) + len(real)) / (len(pseudo) * len(real)))
    return {"length_distance": distance, "length_excess": max(distance - critical, 0.0)}
