"""What an audit knows of a task's real rows: all of them, a fingerprint, or nothing."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lamol_core.audit.figures import Figure

Measure = Callable[[Sequence[str]], Mapping[str, Figure]]  # figures of normalised texts


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the checks compare pseudo-samples with. This base class knows nothing of the training
    rows.

    `labels` counts the training rows by normalised target (empty for free text), `lengths`
    counts them by number of words."""

    labels: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)

    def sample_size(self, limit: int) -> int:
        """Return how many real rows, at most `limit`, can be measured; 0 where none can."""
        return 0

    def figures_of(self, measure: Measure, size: int, rng: random.Random) -> Mapping[str, Figure]:
        """Return the figures that `measure` gives for `size` random real rows; {} where they are
        unknown."""
        return {}


@dataclass(frozen=True, kw_only=True)
class RealRows(Reference):
    """A reference that has all training rows, as normalised texts."""

    texts: Sequence[str]

    def sample_size(self, limit: int) -> int:
        return min(len(self.texts), limit)

    def figures_of(self, measure: Measure, size: int, rng: random.Random) -> Mapping[str, Figure]:
        return measure(rng.sample(self.texts, size))
