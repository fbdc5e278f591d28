"""A uniform sample of a stream, of fixed size."""

import random
from dataclasses import dataclass

from lamol_core.seeds import derive_seed


@dataclass
class Reservoir:
    """Which slot the next item of a stream takes (Vitter 1985, algorithm R).

    After n items each of them is held with probability min(size / n, 1). The choice depends on the
    seed and on the item's number alone: a stream that was cut off goes on as if it had not been.
    """

    size: int
    seed: int
    num_seen: int = 0

    def next_slot(self) -> int | None:
        """The slot, 0 to size - 1, that the next item takes over; None: it is not kept."""
        number = self.num_seen
        self.num_seen += 1
        if number < self.size:
            return number
        slot = random.Random(derive_seed(self.seed, "reservoir", number)).randrange(number + 1)
        return slot if slot < self.size else None
