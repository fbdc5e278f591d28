"""Correctness: whether each row is a row of its task, in whole sentences, with the right target.

wrong_share            share of rows that resemble wrong rows of the task more than right ones
wrong_excess           wrong_share minus false_alarm_share; 0 where that is negative
false_alarm_share      share of real rows, held out of training, that are called wrong
planted_found_share    share of planted wrong rows that are called wrong
planted_found_<kind>   the same by kind (audit/quality/planting.py)

A logistic regression learns to tell held-out rows from wrong rows that are made of them, by the
signals in audit/quality/signals.py. So each task has its own scale, and the audit knows how good it
is: the last three figures are of rows that the regression was not trained on (5-fold). Where it
finds less than LEAST_FOUND more among planted rows than among real ones, wrong_excess is None.

Of forgotten rows only the judge's statistics are left (`generate.judge: features`): a row is then
wrong if the judge gives it another label. A task without them is not judged.
"""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lamol_core.audit.figures import Figure, share
from lamol_core.audit.limits import Limit
from lamol_core.audit.quality.planting import planted
from lamol_core.audit.quality.signals import Row, Signals, by_label
from lamol_core.audit.spec import Audited, Check, Finding, SampledTask
from lamol_core.config.section import Section
from lamol_core.records import Example, PseudoSample
from lamol_core.seeds import derive_seed

if TYPE_CHECKING:
    from lamol_core.generation.judging import Judge

MOST_REAL = 400  # rows of a task that samples are compared with
MOST_HELD_OUT = 60
LEAST_HELD_OUT = 12
FOLDS = 5
LEAST_FOUND = 0.3


class Correctness(Check[Section]):
    name = "correctness"
    title = "Is each row right for its task"
    about = "quality"
    row_verdict = "wrong"
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
    return [(row.input, row.target) for row in rows]


def _judge(audited: Audited) -> "Judge | None":
    """The judge on disk, which also learns the labels that it does not know from the real rows of
    their tasks. None without a backbone, or without labels."""
    asked = [task for task in audited.tasks if task.has_classes and task.kept]
    if audited.judge is None or not asked:
        return None
    judge = audited.judge()
    known = {task for task, _ in judge.learnt.classes}
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
    if judge is not None and task.name not in {of for of, _ in judge.learnt.classes}:
        judge = None
    real = _pairs(_sample(task.train, MOST_REAL, rng))
    held_out = _pairs(_sample(task.held_out, MOST_HELD_OUT, rng))
    if task.forgotten_on or len(held_out) < LEAST_HELD_OUT or not real:
        return _by_judge(task, judge)
    foreign = [row.input for other in tasks if other is not task for row in other.train]
    kinds, wrong = zip(*planted(held_out, foreign, rng), strict=True)
    signals = Signals(task.name, real, judge)
    right, found = _regress(signals, held_out, wrong, _pairs(task.kept))
    false_alarms = found[: len(held_out)].mean()
    found_planted = found[len(held_out) :]
    wrong_share = share(sum(score < 0.5 for score in right), len(right))
    assert wrong_share is not None, "there are rows"
    is_able = found_planted.mean() - false_alarms >= LEAST_FOUND
    return {
        "wrong_share": wrong_share,
        "wrong_excess": max(wrong_share - float(false_alarms), 0.0) if is_able else None,
        "false_alarm_share": float(false_alarms),
        "planted_found_share": float(found_planted.mean()),
        **{
            f"planted_found_{kind}": float(found_planted[np.array(kinds) == kind].mean())
            for kind in sorted(set(kinds))
        },
    }, list(right)


def _regress(
    signals: Signals, held_out: Sequence[Row], wrong: Sequence[Row], rows: Sequence[Row]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability that each row is right, and whether each of the held-out rows and the
    planted rows after them is called wrong by a regression that did not see it."""
    # late: see checks/__init__.py
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    known = signals.of([*held_out, *wrong])
    is_right = np.arange(len(known)) < len(held_out)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    unseen = cross_val_predict(model, known, is_right, cv=folds)
    return model.fit(known, is_right).predict_proba(signals.of(rows))[:, 1], ~unseen


def _by_judge(
    task: SampledTask, judge: "Judge | None"
) -> tuple[dict[str, Figure], Sequence[float]]:
    if judge is None:
        return {}, []
    log_shares, _ = by_label(judge, task.name, _pairs(task.kept))
    right = np.exp(log_shares)
    wrong_share = share(int((right < 0.5).sum()), len(right))
    return {"wrong_share": wrong_share, "wrong_excess": wrong_share}, list(right)


def _sample(rows: Sequence[Example], most: int, rng: random.Random) -> list[Example]:
    return rng.sample(list(rows), min(most, len(rows)))
