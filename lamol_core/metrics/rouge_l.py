"""The metric `rouge_l`: how many words two texts have in common, in the same order."""

import re

from rapidfuzz.distance import LCSseq

from lamol_core.metrics.spec import Metric, f1

WORD = re.compile(r"\w+")


class RougeL(Metric):
    """F1 of the longest common subsequence of words, 0 to 1; case and punctuation do not count.
    Two empty texts score 1.0. Lin 2004 (ROUGE), section 3.1, with beta = 1."""

    name = "rouge_l"

    def score(self, prediction: str, target: str) -> float:
        predicted = WORD.findall(prediction.casefold())
        wanted = WORD.findall(target.casefold())
        return f1(LCSseq.similarity(predicted, wanted), len(predicted), len(wanted))
