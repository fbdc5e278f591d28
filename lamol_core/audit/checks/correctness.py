"""Correctness: whether each row is a row of its task, in whole sentences, with the right target.

wrong_share            share of rows that resemble wrong rows of the task more than right ones
wrong_excess           wrong_share minus false_alarm_share; 0 where that is negative
false_alarm_share      share of real rows, held out of training, that are called wrong
planted_found_<kind>   share of planted wrong rows of a kind that are called wrong
                       (audit/quality/planting.py)

A logistic regression learns to tell held-out rows from wrong rows that are made of them, by the
signals in audit/quality/signals.py. So each task has its own scale, and the audit knows how good it
is: the last two figures are of rows that the regression was not trained on (5-fold). A kind of
planted rows that is hardly called wrong more often than real rows cannot be seen in this task. It
is left out, and the regression learns anew. Where no kind is left, wrong_excess is None.

Of forgotten rows, and with fewer than twelve held-out ones, only the judge's statistics are left
(`generate.judge: features`): a row is then wrong if the judge gives it another label. How often the
judge errs is not known then, so wrong_excess is wrong_share. A task without them is not judged.
"""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lamol_core.audit.figures import Figure, share
from lamol_core.audit.limits import Limit
from lamol_core.audit.quality.planting import planted
from lamol_core.audit.quality.signals import Row, Signals, rather_than_another
from lamol_core.audit.spec import Audited, Check, Finding, SampledTask
from lamol_core.config.section import Section
from lamol_core.records import Example, PseudoSample, asked_text
from lamol_core.seeds import derive_seed

if TYPE_CHECKING:
    from lamol_core.generation.judging import Judge

MOST_REAL = 400  # rows of a task that samples are compared with
MOST_HELD_OUT = 60
LEAST_HELD_OUT = 12
FOLDS = 5
LEAST_FOUND = 0.2


class Correctness(Check[Section]):
    name = "correctness"
    title = "Is each row right for its task"
    about = "quality"
    row_verdict = "wrong"
    headline = "wrong_excess"
    limits: ClassVar = {"wrong_excess": Limit(warn=0.2, fail=0.5)}
    shows_poor_samples = True

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task: dict[str, dict[str, Figure]] = {}
        scores: dict[str, float] = {}
        flags, notes = [], []
        judge = _judge(audited)
        for task in audited.tasks:
            rng = random.Random(derive_seed(audited.seed, "correctness", task.name))
            figures, right = _score(task, audited.tasks, judge, rng)
            wrong = [row for row, score in zip(task.kept, right, strict=False) if score < 0.5]
            if figures and figures["wrong_excess"] is None:
                notes.append(f"{task.name}: right rows can't be told from wrong ones.")
                wrong = []
            by_task[task.name] = figures
            scores |= {row.row_id: s for row, s in zip(task.kept, right, strict=False)}
            flags += [self.flag(row, "wrong") for row in wrong]
        figures = self.pooled(audited, by_task)
        return Finding(self.name, figures, by_task, flags, notes=notes, scores=scores)


def _pairs(rows: Sequence[PseudoSample] | Sequence[Example]) -> list[Row]:
    return [(asked_text(row), row.target) for row in rows]


def _judge(audited: Audited) -> "Judge | None":
    """The judge on disk, which also learns the labels that it does not know from the real rows of
    their tasks. None where no row has a label."""
    asked = [task for task in audited.tasks if task.has_classes and task.kept]
    if audited.judge is None or not asked:
        return None
    judge = audited.judge()
    known = judge.tasks
    rows = [
        row
        for task in asked
        if task.name not in known
        for row in _sample(task.train, MOST_REAL, random.Random(task.name))
    ]
    return judge.with_rows(rows)


def _score(
    task: SampledTask, tasks: Sequence[SampledTask], judge: "Judge | None", rng: random.Random
) -> tuple[dict[str, Figure], Sequence[float]]:
    """Return a task's figures, and for each kept row the probability that it is right; nothing
    where the task cannot be judged."""
    if not task.kept:
        return {}, []
    if judge is not None and task.name not in judge.tasks:
        judge = None
    real = _pairs(_sample(task.train, MOST_REAL, rng))
    held_out = _pairs(_sample(task.held_out, MOST_HELD_OUT, rng))
    if task.forgotten_on or len(held_out) < LEAST_HELD_OUT or not real:
        return _by_judge(task, judge)
    foreign = [asked_text(row) for other in tasks if other is not task for row in other.train]
    plants = list(planted(held_out, foreign, rng))
    if len(plants) < LEAST_HELD_OUT:  # short inputs of one label, and no other task
        return _by_judge(task, judge)
    signals = Signals(task.name, real, judge)
    model = Regression(signals.of(held_out), signals.of([row for _, row in plants]))
    found = model.found_by([kind for kind, _ in plants])
    hopeless = {kind for kind, part in found.items() if part - model.false_alarms < LEAST_FOUND}
    plants = [(kind, row) for kind, row in plants if kind not in hopeless]
    if hopeless and len(plants) >= FOLDS:
        model = Regression(signals.of(held_out), signals.of([row for _, row in plants]))
        found |= model.found_by([kind for kind, _ in plants])
    right = model.rate(signals.of(_pairs(task.kept)))
    wrong_share = float(np.mean(right < 0.5))
    return {
        "wrong_share": wrong_share,
        "wrong_excess": max(wrong_share - model.false_alarms, 0.0)
        if len(plants) >= FOLDS
        else None,
        "false_alarm_share": model.false_alarms,
        **{f"planted_found_{kind}": part for kind, part in found.items()},
    }, right.tolist()


class Regression:
    """Tells right rows from wrong ones. It learns from the signals of held-out rows (n, k) and of
    planted wrong rows (m, k)."""

    def __init__(self, held_out: np.ndarray, wrong: np.ndarray) -> None:
        # late: see checks/__init__.py
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        known = np.concatenate([held_out, wrong])
        is_right = np.arange(len(known)) < len(held_out)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        called_wrong = ~cross_val_predict(model, known, is_right, cv=folds)
        self.false_alarms = float(called_wrong[: len(held_out)].mean())
        self._found = called_wrong[len(held_out) :]
        self._model = model.fit(known, is_right)

    def found_by(self, kinds: Sequence[str]) -> dict[str, float]:
        """The share of the planted rows that is found, by their `kinds` (m)."""
        return {
            kind: float(self._found[np.array(kinds) == kind].mean()) for kind in sorted({*kinds})
        }

    def rate(self, rows: np.ndarray) -> np.ndarray:
        """The probability that each row is right, (n,), from their signals (n, k)."""
        return np.asarray(self._model.predict_proba(rows)[:, 1])


def _by_judge(
    task: SampledTask, judge: "Judge | None"
) -> tuple[dict[str, Figure], Sequence[float]]:
    if judge is None:
        return {}, []
    right = rather_than_another(judge, task.name, _pairs(task.kept))
    wrong_share = share(sum(score < 0.5 for score in right), len(right))
    return {"wrong_share": wrong_share, "wrong_excess": wrong_share}, right


def _sample(rows: Sequence[Example], most: int, rng: random.Random) -> list[Example]:
    return rng.sample(list(rows), min(most, len(rows)))
