"""What an audit may know of a task's real rows: all of them, a kept fingerprint, or nothing."""

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

Figure = float | None
"""None: not defined for so few rows, or not measured."""
Measure = Callable[[Sequence[str]], Mapping[str, Figure]]
"""Figures of normalised texts, known by the function's name where the texts are gone."""


class Reference(ABC):
    """The training rows of a task, as far as the checks hold pseudo-samples against them."""

    @property
    @abstractmethod
    def labels(self) -> Counter[str]:
        """Rows by normalised target; empty for free text, and where nothing is known."""

    @property
    @abstractmethod
    def lengths(self) -> Sequence[int]:
        """Numbers of words."""

    @abstractmethod
    def size_for(self, most: int) -> int:
        """For how many rows, `most` at the most, figures of the real ones can be had; 0: none."""

    @abstractmethod
    def measured(self, measure: Measure, size: int, chooser: random.Random) -> Mapping[str, Figure]:
        """Figures of as many of the real rows."""


class NoReference(Reference):
    """The rows are gone, and nothing was kept."""

    @property
    def labels(self) -> Counter[str]:
        return Counter()

    @property
    def lengths(self) -> Sequence[int]:
        return ()

    def size_for(self, most: int) -> int:
        return 0

    def measured(self, measure: Measure, size: int, chooser: random.Random) -> Mapping[str, Figure]:
        return {}


class RealRows(Reference):
    """The rows themselves: normalised texts and labels."""

    def __init__(self, texts: Sequence[str], labels: Sequence[str], lengths: Sequence[int]) -> None:
        self._texts, self._labels, self._lengths = texts, labels, lengths

    @property
    def labels(self) -> Counter[str]:
        return Counter(self._labels)

    @property
    def lengths(self) -> Sequence[int]:
        return self._lengths

    def size_for(self, most: int) -> int:
        return min(len(self._texts), most)

    def measured(self, measure: Measure, size: int, chooser: random.Random) -> Mapping[str, Figure]:
        return measure(chooser.sample(self._texts, size))
