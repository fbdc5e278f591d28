"""What a metric declares. A new one is a file, and a line in the registry."""

from abc import ABC, abstractmethod
from typing import ClassVar

from lamol_core.records import Targets


class Metric(ABC):
    """A measure of how well a generated text agrees with the target."""

    name: ClassVar[str]
    default_for: ClassVar[Targets | None] = None
    """The kind of targets for which `metric: auto` means this metric."""

    @abstractmethod
    def score(self, prediction: str, target: str) -> float:
        """0 (wrong) to 1 (right) for one row."""


def plain(text: str) -> str:
    """The text without case, with single spaces."""
    return " ".join(text.casefold().split())


def f1(num_common: int, num_predicted: int, num_wanted: int) -> float:
    """Harmonic mean of precision and recall, 0..1; 1.0 where both texts are empty."""
    total = num_predicted + num_wanted
    return 2 * num_common / total if total else 1.0
