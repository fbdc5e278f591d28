"""A uniform sample of a stream, of fixed size."""

import random
from dataclasses import dataclass

from lamol_core.seeds import derive_seed


@dataclass
class Reservoir:
    """Which place the next item of a stream takes (Vitter 1985, algorithm R).

    After n items each of them is held with probability min(size / n, 1). The choice depends on the
    seed and on the item's number alone: a stream that was cut off goes on as if it had not been.
    """

    size: int
    seed: int
    num_seen: int = 0

    def next_place(self) -> int | None:
        """The place of the next item, 0 to size - 1, whose holder makes room; None: not kept."""
        number = self.num_seen
        self.num_seen += 1
        if number < self.size:
            return number
        place = random.Random(derive_seed(self.seed, "reservoir", number)).randrange(number + 1)
        return place if place < self.size else None
