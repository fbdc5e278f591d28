"""The interface of a metric. A new metric is a file, and a line in the registry."""

from abc import ABC, abstractmethod
from typing import ClassVar

from lamol_core.records import Targets


class Metric(ABC):
    """A measure of how well a generated text agrees with the target."""

    name: ClassVar[str]
    default_for: ClassVar[Targets | None] = None
    """The kind of targets for which `metric: auto` stands for this metric; None for no kind."""

    @abstractmethod
    def score(self, prediction: str, target: str) -> float:
        """Return the score of one row, from 0 (wrong) to 1 (right). `score(a, b)` and
        `score(b, a)` are equal."""


def plain(text: str) -> str:
    """Return the text without case, and with single spaces between words."""
    return " ".join(text.casefold().split())


def f1(num_common: int, num_predicted: int, num_wanted: int) -> float:
    """Return the harmonic mean of precision and recall, 0 to 1, from numbers of words; 1.0 where
    both texts are empty."""
    total = num_predicted + num_wanted
    return 2 * num_common / total if total else 1.0
