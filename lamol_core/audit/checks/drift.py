"""Drift: whether a classifier tells pseudo-samples from real rows (Lopez-Paz and Oquab 2017).

drift_auc         area under the ROC curve of a logistic regression on TF-IDF of words and pairs of
                  words, 5-fold, on as many real rows as pseudo ones: 0.5 is chance. A sample
                  with the text of one of these rows is told from nothing: the classifier does
                  not see it, and it counts as chance; so many samples as rows have the text
drift_auc_<label> the same scores, on the rows of one label alone
age               tasks learnt since the task was learnt: drift over age is how memory fades
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Figure, Finding, SampledTask
from lamol_core.config.section import Section
from lamol_core.seeds import derive_seed
from lamol_core.text.normalise import normalise

LEAST_ROWS = 20
MOST_ROWS = 2000
LEAST_OF_LABEL = 10
FOLDS = 5


class Drift(Check[Section]):
    name = "drift"
    title = "Can it be told from real rows"
    limits: ClassVar = {"drift_auc": Limit(warn=0.85, fail=0.98)}

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task = {
            task.name: {
                "age": float(task.age),
                **_told_apart(task, derive_seed(audited.seed, "drift", task.name)),
            }
            for task in audited.tasks
        }
        alone = {name: {"drift_auc": figures["drift_auc"]} for name, figures in by_task.items()}
        return Finding(self.name, self.pooled(audited, alone), by_task)


def _told_apart(task: SampledTask, seed: int) -> dict[str, Figure]:
    size = min(len(task.kept), len(task.train), MOST_ROWS)
    if size < LEAST_ROWS:
        return {"drift_auc": None}
    chooser = random.Random(seed)
    mine, theirs = chooser.sample(task.kept, size), chooser.sample(list(task.train), size)
    texts = task.texts(mine) + task.texts(theirs)
    is_pseudo = np.array([1] * size + [0] * size)
    left = Counter(texts[size:])
    copied = np.zeros(len(texts), bool)
    for place, text in enumerate(texts[:size]):
        copied[place] = left[text] > 0
        left[text] -= 1
    scores = np.zeros(len(texts))
    if np.count_nonzero(~copied[:size]) >= FOLDS:
        others = [texts[place] for place in np.flatnonzero(~copied)]
        scores[~copied] = pseudo_scores(others, is_pseudo[~copied], seed % 2**32)
    figures: dict[str, Figure] = {"drift_auc": _auc(scores, is_pseudo, copied)}
    if task.has_classes:
        targets = [row.target for row in mine] + [row.target for row in theirs]
        labels = np.array([normalise(target) for target in targets])
        for label in sorted(set(labels)):
            own = labels == label
            if np.bincount(is_pseudo[own], minlength=2).min() >= LEAST_OF_LABEL:
                figures[f"drift_auc_{label}"] = _auc(scores[own], is_pseudo[own], copied[own])
    return figures


def _auc(scores: np.ndarray, is_pseudo: np.ndarray, copied: np.ndarray) -> float:
    """The share of pairs, a pseudo row and a real one, that the scores put in order; half of those
    with a copy."""
    # late: see checks/__init__.py
    from sklearn.metrics import roc_auc_score

    part = 1 - copied.sum() / is_pseudo.sum()
    if part == 0:
        return 0.5
    in_order = roc_auc_score(is_pseudo[~copied], scores[~copied])
    return float(0.5 + part * (in_order - 0.5))


def pseudo_scores(texts: Sequence[str], is_pseudo: np.ndarray, seed: int) -> np.ndarray:
    """How much each text looks like a pseudo-sample to a model that has not seen it."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]"),
        LogisticRegression(max_iter=1000),
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return cross_val_predict(model, texts, is_pseudo, cv=folds, method="decision_function")
