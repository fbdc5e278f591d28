"""What an audit may know of a task's real rows: all of them, a kept fingerprint, or nothing."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lamol_core.text.normalise import words_of

Figure = float | None
"""None: not defined for so few rows, or not measured."""
Measure = Callable[[Sequence[str]], Mapping[str, Figure]]
"""Figures of normalised texts, known by the function's name where the texts are gone."""


class Reference:
    """The training rows of a task, as far as the checks hold pseudo-samples against them. This one
    knows nothing: the rows are gone, and nothing was kept."""

    @property
    def labels(self) -> Counter[str]:
        """Rows by normalised target; empty for free text, and where nothing is known."""
        return Counter()

    @property
    def lengths(self) -> Sequence[int]:
        """Numbers of words."""
        return ()

    def size_for(self, most: int) -> int:
        """For how many rows, `most` at the most, figures of the real ones can be had; 0: none."""
        return 0

    def measured(self, measure: Measure, size: int, chooser: random.Random) -> Mapping[str, Figure]:
        """Figures of as many of the real rows."""
        return {}


@dataclass(frozen=True)
class RealRows(Reference):
    """The rows themselves: normalised texts and targets."""

    texts: Sequence[str]
    targets: Sequence[str]
    """Empty for free text."""

    @property
    def labels(self) -> Counter[str]:
        return Counter(self.targets)

    @property
    def lengths(self) -> Sequence[int]:
        return [len(words_of(text)) for text in self.texts]

    def size_for(self, most: int) -> int:
        return min(len(self.texts), most)

    def measured(self, measure: Measure, size: int, chooser: random.Random) -> Mapping[str, Figure]:
        return measure(chooser.sample(self.texts, size))
