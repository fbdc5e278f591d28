"""How many words the texts have in common, in the same order."""

import re

from lamol_core.metrics.spec import Metric, f1

WORD = re.compile(r"\w+")


class RougeL(Metric):
    """F1 of the longest common subsequence of words, without case and punctuation, 0..1.
    Two empty texts agree (1.0). Lin 2004 (ROUGE), section 3.1, with beta = 1."""

    name = "rouge_l"

    def score(self, prediction: str, target: str) -> float:
        predicted = WORD.findall(prediction.casefold())
        wanted = WORD.findall(target.casefold())
        return f1(_lcs_length(predicted, wanted), len(predicted), len(wanted))


def _lcs_length(left: list[str], right: list[str]) -> int:
    previous = [0] * (len(right) + 1)
    for word in left:
        current = [0]
        for column, other in enumerate(right):
            longest = max(previous[column + 1], current[column])
            current.append(previous[column] + 1 if word == other else longest)
        previous = current
    return previous[-1]
