"""Drift: whether a classifier separates pseudo-samples from real rows (Lopez-Paz and Oquab 2017).

drift_auc         area under the ROC curve of a logistic regression on TF-IDF of words and pairs of
                  words, 5-fold, on equally many pseudo-samples and real rows: 0.5 is chance. A
                  sample whose text equals one of these real rows is a copy: the classifier does
                  not see it, and it counts as chance. Each real row accounts for at most one copy
drift_auc_<label> the AUC of the same scores among the rows of one label
age               number of tasks learnt since this task: drift that grows with it shows forgetting
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from lamol_core.audit.figures import Figure
from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Finding, SampledTask
from lamol_core.config.section import Section
from lamol_core.seeds import derive_seed
from lamol_core.text.normalise import normalise

LEAST_ROWS = 20
MOST_ROWS = 2000
LEAST_OF_LABEL = 10
FOLDS = 5


class Drift(Check[Section]):
    name = "drift"
    title = "Does it differ from real rows"
    about = "quality"
    limits: ClassVar = {"drift_auc": Limit(warn=0.85, fail=0.98)}

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task = {}
        for task in audited.tasks:
            figures = _auc_figures(task, derive_seed(audited.seed, "drift", task.name))
            by_task[task.name] = {"age": float(task.tasks_since), **figures}
        pooled = self.pooled(audited, by_task)
        return Finding(self.name, {"drift_auc": pooled["drift_auc"]}, by_task)


def _auc_figures(task: SampledTask, seed: int) -> dict[str, Figure]:
    size = min(len(task.kept), len(task.train), MOST_ROWS)
    if size < LEAST_ROWS:
        return {"drift_auc": None}
    rng = random.Random(seed)
    pseudo, real = rng.sample(task.kept, size), rng.sample(list(task.train), size)
    texts = task.texts(pseudo) + task.texts(real)
    is_pseudo = np.arange(2 * size) < size
    num_left = Counter(texts[size:])
    copied = np.zeros(2 * size, bool)
    for index, text in enumerate(texts[:size]):
        copied[index] = num_left[text] > 0
        num_left[text] -= 1
    scores = np.zeros(2 * size)
    if np.count_nonzero(~copied[:size]) >= FOLDS:
        seen = [texts[index] for index in np.flatnonzero(~copied)]
        scores[~copied] = pseudo_scores(seen, is_pseudo[~copied], seed % 2**32)
    figures: dict[str, Figure] = {"drift_auc": _auc(scores, is_pseudo, copied)}
    if task.has_classes:
        targets = [row.target for row in pseudo] + [row.target for row in real]
        labels = np.array([normalise(target) for target in targets])
        for label in sorted(set(labels)):
            own = labels == label
            if min((is_pseudo & own).sum(), (~is_pseudo & own).sum()) >= LEAST_OF_LABEL:
                figures[f"drift_auc_{label}"] = _auc(scores[own], is_pseudo[own], copied[own])
    return figures


def _auc(scores: np.ndarray, is_pseudo: np.ndarray, copied: np.ndarray) -> float:
    """Return the AUC: the share of pairs of a pseudo-sample and a real row in which the
    pseudo-sample has the higher score. A pair with a copied sample counts one half. All inputs
    have shape (N,)."""
    # late: see checks/__init__.py
    from sklearn.metrics import roc_auc_score

    not_copied = 1 - copied.sum() / is_pseudo.sum()
    if not_copied == 0:
        return 0.5
    in_order = roc_auc_score(is_pseudo[~copied], scores[~copied])
    return float(0.5 + not_copied * (in_order - 0.5))


def pseudo_scores(texts: Sequence[str], is_pseudo: np.ndarray, seed: int) -> np.ndarray:
    """Return one score per text, (N,): high where the text looks like a pseudo-sample. Each text
    is scored by a model that was not trained on it (cross-validation)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]"),
        LogisticRegression(max_iter=1000),
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(model, texts, is_pseudo, cv=folds, method="decision_function")
    return np.asarray(scores)
