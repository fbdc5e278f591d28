"""Whether both texts are as long."""

from lamol_core.metrics.spec import Metric


class ToySize(Metric):
    """1.0 where they are; half of it where one letter is missing, and so on."""

    name = "toy_size"

    def score(self, prediction: str, target: str) -> float:
        return 1 / (1 + abs(len(prediction) - len(target)))
