"""A uniform random sample of a stream, with a fixed size."""

import random
from dataclasses import dataclass

from lamol_core.seeds import derive_seed


@dataclass
class Reservoir:
    """Chooses the slot of a stream's next item (Vitter 1985, algorithm R).

    After n items each of them is held with probability min(size / n, 1). A choice depends only on
    the seed and the item's number, so a stream that was interrupted continues with the same
    choices."""

    size: int
    seed: int
    num_seen: int = 0

    def next_slot(self) -> int | None:
        """The slot, 0 to size - 1, in which the next item is stored; None if the item is not
        kept."""
        number = self.num_seen
        self.num_seen += 1
        if number < self.size:
            return number
        slot = random.Random(derive_seed(self.seed, "reservoir", number)).randrange(number + 1)
        return slot if slot < self.size else None
