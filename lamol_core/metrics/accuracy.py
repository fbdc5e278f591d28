"""The metric `accuracy`: whether two texts are equal."""

from lamol_core.metrics.spec import Metric, plain


class Accuracy(Metric):
    """1.0 where the texts are equal apart from case and white space, else 0.0."""

    name = "accuracy"
    default_for = "classes"

    def score(self, prediction: str, target: str) -> float:
        return float(plain(prediction) == plain(target))
