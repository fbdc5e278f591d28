"""The metric `token_f1`: how many words two texts have in common, in any order."""

import string
from collections import Counter

from lamol_core.metrics.spec import Metric, f1

ARTICLES = frozenset({"a", "an", "the"})
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TokenF1(Metric):
    """F1 of the two bags of words, 0 to 1; case, ASCII punctuation and English articles do not
    count. Two empty bags score 1.0. Rajpurkar et al. 2016 (SQuAD), section 6.1."""

    name = "token_f1"
    default_for = "text"

    def score(self, prediction: str, target: str) -> float:
        predicted, wanted = _bag_of_words(prediction), _bag_of_words(target)
        return f1((predicted & wanted).total(), predicted.total(), wanted.total())


def _bag_of_words(text: str) -> Counter[str]:
    words = text.casefold().translate(NO_PUNCTUATION).split()
    return Counter(word for word in words if word not in ARTICLES)
