"""What an audit knows of a task's real rows: all of them, a kept fingerprint, or nothing."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lamol_core.audit.figures import Figure

Measure = Callable[[Sequence[str]], Mapping[str, Figure]]  # figures of normalised texts


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the checks compare pseudo-samples with. This class knows nothing of the training rows.

    `labels` counts rows by normalised target (empty for free text), `lengths` by number of words.
    """

    labels: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)

    def sample_size(self, limit: int) -> int:
        """How many real rows, at most `limit`, can be measured; 0 for none."""
        return 0

    def figures_of(self, measure: Measure, size: int, rng: random.Random) -> Mapping[str, Figure]:
        """Figures of `size` real rows."""
        return {}


@dataclass(frozen=True, kw_only=True)
class RealRows(Reference):
    """All training rows, as normalised texts."""

    texts: Sequence[str]

    def sample_size(self, limit: int) -> int:
        return min(len(self.texts), limit)

    def figures_of(self, measure: Measure, size: int, rng: random.Random) -> Mapping[str, Figure]:
        return measure(rng.sample(self.texts, size))
