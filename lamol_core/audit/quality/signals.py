"""Signals by which right rows differ from wrong ones: each compares a row with real rows.

unseen_pairs, unseen_triples   share of the row's runs of two and three words that no real row
                               has; the row is read as input, arrow, target
similar_target                 similarity of its target to those of the real rows with the most
                               similar inputs (cosine of TF-IDF, NEAREST rows)
weakest_word                   log probability of the target's least likely word, given the
                               input's most telling one, as counted in real rows
repeated                       share of words that occur earlier in the input
length                         log number of words of the input
label, distance                for labels: log probability of the row's label among all labels,
                               and log distance from that label's mean, by the frozen
                               backbone's features (models/discriminant.py)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lamol_core.text.normalise import normalise, words_of

if TYPE_CHECKING:
    from lamol_core.generation.judging import Judge

Row = tuple[str, str]
"""Input and target."""
NEAREST = 5
RUNS = (2, 3)
AT_ONCE = 4096
LEAST_LOG = -20.0
"""What stands for the log of nothing, and of an unknown label's probability."""
SMOOTHED = 0.1


class Signals:
    """The signals of rows of one task, by comparison with `real` rows of it. `judge` knows the
    task's labels; None for free text, and where there is no backbone."""

    def __init__(self, task: str, real: Sequence[Row], judge: Judge | None) -> None:
        # late: see checks/__init__.py
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._task, self._judge = task, judge
        self._seen = {n: {run for row in real for run in _runs(row, n)} for n in RUNS}
        self._inputs, self._targets = (
            TfidfVectorizer(token_pattern=r"(?u)\w+|[^\w\s]", preprocessor=normalise)
            for _ in range(2)
        )
        self._real_inputs = self._inputs.fit_transform([text for text, _ in real])
        self._real_targets = self._targets.fit_transform([target for _, target in real])
        self._rows_with: Counter[str] = Counter()
        self._together: Counter[tuple[str, str]] = Counter()
        for text, target in real:
            given, said = set(words_of(normalise(text))), set(words_of(normalise(target)))
            self._rows_with.update(given)
            self._together.update((word, other) for word in given for other in said)

    def of(self, rows: Sequence[Row]) -> np.ndarray:
        """The signals of n rows, (n, 6), or (n, 8) with a judge."""
        columns = [
            *([_share_outside(_runs(row, n), self._seen[n]) for row in rows] for n in RUNS),
            [s for i in range(0, len(rows), AT_ONCE) for s in self._similar(rows[i : i + AT_ONCE])],
            [self._weakest_word(row) for row in rows],
            [_repeated(words_of(normalise(text))) for text, _ in rows],
            [math.log(1 + len(words_of(normalise(text)))) for text, _ in rows],
        ]
        if self._judge is not None:
            columns += by_label(self._judge, self._task, rows)
        return np.array(columns).T

    def _similar(self, rows: Sequence[Row]) -> list[float]:
        inputs = self._inputs.transform([text for text, _ in rows])
        targets = self._targets.transform([target for _, target in rows])
        near = (inputs @ self._real_inputs.T).toarray()
        same = (targets @ self._real_targets.T).toarray()
        found = np.argpartition(-near, min(NEAREST, near.shape[1]) - 1)[:, :NEAREST]
        weights = np.take_along_axis(near, found, axis=1) + 1e-6
        return list((np.take_along_axis(same, found, axis=1) * weights).sum(1) / weights.sum(1))

    def _weakest_word(self, row: Row) -> float:
        given, said = ({*words_of(normalise(text))} for text in row)
        given &= self._rows_with.keys()
        best = [
            max(
                ((self._together[w, word] + SMOOTHED) / (self._rows_with[w] + 1) for w in given),
                default=0.0,
            )
            for word in said
        ]
        return math.log(max(min(best, default=0.0), 1e-3))


def by_label(judge: Judge, task: str, rows: Sequence[Row]) -> list[list[float]]:
    """The signals `label` and `distance` of n rows, two lists of n."""
    distances = judge.distances([text for text, _ in rows])  # (n, C)
    log_shares = (-distances / 2).log_softmax(dim=1).clamp_min(LEAST_LOG)
    places = _places(judge, task)
    found = [places.get(normalise(target)) for _, target in rows]
    label = [LEAST_LOG if c is None else float(log_shares[i, c]) for i, c in enumerate(found)]
    chosen = [
        float(distances[i].max() if c is None else distances[i, c]) for i, c in enumerate(found)
    ]
    return [label, [math.log(max(distance, 1e-6)) for distance in chosen]]


def rather_than_another(judge: Judge, task: str, rows: Sequence[Row]) -> list[float]:
    """The probability that each row is of its label, if it is of that or of the likeliest other
    one. Next to 0 for an unknown label."""
    distances = judge.distances([text for text, _ in rows])  # (n, C)
    places, right = _places(judge, task), list[float]()
    for (_, target), row in zip(rows, distances.tolist(), strict=True):
        place = places.get(normalise(target))
        others = [distance for at, distance in enumerate(row) if at != place]
        nearest = min(others, default=math.inf)
        log_odds = -math.inf if place is None else (nearest - row[place]) / 2
        right.append(1 / (1 + math.exp(min(-log_odds, -LEAST_LOG))))
    return right


def _places(judge: Judge, task: str) -> dict[str, int]:
    """The place of each of a task's labels among the classes."""
    return {label: at for at, (of, label) in enumerate(judge.learnt.classes) if of == task}


def _runs(row: Row, n: int) -> list[tuple[str, ...]]:
    text, target = (words_of(normalise(part)) for part in row)
    words = ["<", *text, "=>", *target, ">"]
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _share_outside(runs: Sequence[tuple[str, ...]], seen: set[tuple[str, ...]]) -> float:
    return sum(run not in seen for run in runs) / max(len(runs), 1)


def _repeated(words: Sequence[str]) -> float:
    return 1 - len(set(words)) / max(len(words), 1)
