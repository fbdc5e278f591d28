"""Per-row metrics of generated text, each 0..1; a new one is a function and a line in METRICS."""

import re
import string
from collections import Counter
from typing import Protocol

from lamol_core.errors import ConfigError


class Metric(Protocol):
    """Scores one prediction against its target: 0 (wrong) to 1 (right)."""

    def __call__(self, prediction: str, target: str, /) -> float: ...


_ARTICLES = frozenset({"a", "an", "the"})
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORD = re.compile(r"\w+")
_NO_SLOTS = "none"


def accuracy(prediction: str, target: str) -> float:
    """1.0 where the texts are equal but for case and white space, else 0.0."""
    return float(_normalise(prediction) == _normalise(target))


def token_f1(prediction: str, target: str) -> float:
    """F1 of the two bags of words, without case, ASCII punctuation and English articles, 0..1.
    Two empty bags agree (1.0). Rajpurkar et al. 2016 (SQuAD), section 6.1."""
    predicted, wanted = _squad_words(prediction), _squad_words(target)
    common = sum((Counter(predicted) & Counter(wanted)).values())
    return _f1(common, len(predicted), len(wanted))


def rouge_l(prediction: str, target: str) -> float:
    """F1 of the longest common subsequence of words, without case and punctuation, 0..1.
    Two empty texts agree (1.0). Lin 2004 (ROUGE), section 3.1, with beta = 1."""
    predicted = _WORD.findall(prediction.casefold())
    wanted = _WORD.findall(target.casefold())
    return _f1(_lcs_length(predicted, wanted), len(predicted), len(wanted))


def joint_slots(prediction: str, target: str) -> float:
    """1.0 where both lists `slot: value, slot: value` hold the same set of pairs, else 0.0.
    Order, case and spacing do not count. "none" is the empty set, but an empty text is not: a
    model that says nothing has not said "none". Wen et al. 2017 (WOZ 2.0), joint goal."""
    return float(_slots(prediction) == _slots(target))


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "token_f1": token_f1,
    "rouge_l": rouge_l,
    "joint_slots": joint_slots,
}


def score_rows(metric: str, predictions: list[str], targets: list[str]) -> list[float]:
    """The metric of each row, 0..1, in the order given; N predictions and N targets give N scores.
    Raises ConfigError for an unknown metric or where the lists differ in length."""
    if metric not in METRICS:
        known = ", ".join(sorted(METRICS))
        raise ConfigError(f"metric '{metric}' is unknown. Choose one of: {known}.")
    if len(predictions) != len(targets):
        raise ConfigError(
            f"metric '{metric}': {len(predictions)} predictions for {len(targets)} targets. "
            "Give one prediction for each target."
        )
    score = METRICS[metric]
    return [
        score(prediction, target) for prediction, target in zip(predictions, targets, strict=True)
    ]


def _normalise(text: str) -> str:
    return " ".join(text.casefold().split())


def _squad_words(text: str) -> list[str]:
    words = text.casefold().translate(_PUNCTUATION).split()
    return [word for word in words if word not in _ARTICLES]


def _f1(num_common: int, num_predicted: int, num_wanted: int) -> float:
    if num_predicted == 0 and num_wanted == 0:
        return 1.0
    return 2 * num_common / (num_predicted + num_wanted)


def _lcs_length(left: list[str], right: list[str]) -> int:
    previous = [0] * (len(right) + 1)
    for word in left:
        current = [0]
        for column, other in enumerate(right):
            longest = max(previous[column + 1], current[column])
            current.append(previous[column] + 1 if word == other else longest)
        previous = current
    return previous[-1]


def _slots(text: str) -> frozenset[tuple[str, str]]:
    if _normalise(text) == _NO_SLOTS:
        return frozenset()
    # Pieces without a colon are kept as they are, so that a malformed list equals no proper one.
    pairs = (piece.partition(":") for piece in text.split(",") if piece.strip())
    found = frozenset((_normalise(slot), _normalise(value)) for slot, _, value in pairs)
    return found or frozenset({("", "")})
