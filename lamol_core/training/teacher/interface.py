"""The interface of all teachers."""

from typing import Protocol

from torch import Tensor

from lamol_core.models.head import LinearHead
from lamol_core.training.batches import MicroBatch


class Teacher(Protocol):
    """What a kl or mse term compares the student with. `head` turns the teacher's states into
    logits; where it is None, the states are logits."""

    head: LinearHead | None

    def states(self, micro: MicroBatch, shift: int) -> Tensor:
        """The states (N, d), or logits (N, V), for all supervised tokens of a micro-batch, in their
        order. Each is taken `shift` positions before its token."""
        ...
