"""A teacher that runs in each training step."""

import torch
from torch import Tensor

from lamol_core.training.batches import MicroBatch
from lamol_core.training.hidden_states import Body


class OnlineTeacher:
    """Runs the frozen teacher on each micro-batch, in eval mode and without gradients."""

    def __init__(self, body: Body) -> None:
        self._body, self.head = body, body.head
        body.model.requires_grad_(False).eval()

    @torch.no_grad()
    def states(self, micro: MicroBatch, shift: int) -> Tensor:
        states: Tensor = self._body(micro, micro.supervised - shift)
        return states
