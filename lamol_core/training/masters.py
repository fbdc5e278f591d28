"""fp32 master weights: the model computes in bf16, the optimizer steps what it is a rounding of."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


class MasterWeights:
    """Pairs each parameter with its fp32 master; an fp32 parameter is its own.

    A bf16 weight keeps 8 bits: an update smaller than 1/256 of it would be lost. Micikevicius et
    al. 2018, section 3.1.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._pairs = [(weight, _master_of(weight)) for weight in parameters]

    @property
    def masters(self) -> list[nn.Parameter]:
        """What the optimizer steps, in the order of the model's parameters."""
        return [master for _, master in self._pairs]

    def collect_gradients(self) -> None:
        """Add the weights' gradients to their masters' and clear them: the sum is one of fp32."""
        for weight, master in self._pairs:
            if weight is master or weight.grad is None:
                continue
            if master.grad is None:
                master.grad = weight.grad.float()
            else:
                master.grad += weight.grad
            weight.grad = None

    @torch.no_grad()
    def write_back(self) -> None:
        """Round the masters into the weights, after a step."""
        for weight, master in self._pairs:
            if weight is not master:
                weight.copy_(master)


def _master_of(weight: nn.Parameter) -> nn.Parameter:
    if weight.dtype == torch.float32:
        return weight
    return nn.Parameter(weight.detach().float(), requires_grad=weight.requires_grad)
