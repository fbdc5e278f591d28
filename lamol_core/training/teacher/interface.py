"""The interface of all teachers."""

from typing import Protocol

from torch import Tensor

from lamol_core.models.head import LinearHead
from lamol_core.training.batches import MicroBatch


class Teacher(Protocol):
    """What a KL or MSE term compares the student with. Its `head` makes logits of its states;
    without a head they are logits already."""

    head: LinearHead | None

    def states(self, micro: MicroBatch, shift: int) -> Tensor:
        """(N, d), or logits (N, V), for all supervised tokens of a micro-batch, in their order,
        taken `shift` positions before each."""
        ...
