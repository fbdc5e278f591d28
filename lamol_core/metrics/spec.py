"""What a metric declares. A new one is a file, and a line in the registry."""

from abc import ABC, abstractmethod
from typing import ClassVar

from lamol_core.records import Targets


class Metric(ABC):
    """How right a generated text is."""

    name: ClassVar[str]
    default_for: ClassVar[Targets | None] = None
    """The targets for which `metric: auto` takes it."""

    @abstractmethod
    def score(self, prediction: str, target: str) -> float:
        """0 (wrong) to 1 (right) for one row."""


def plain(text: str) -> str:
    """Without case, and with single spaces."""
    return " ".join(text.casefold().split())


def f1(num_common: int, num_predicted: int, num_wanted: int) -> float:
    """Harmonic mean of precision and recall, 0..1; 1.0 where nothing is predicted nor wanted."""
    total = num_predicted + num_wanted
    return 2 * num_common / total if total else 1.0
