"""The head of a causal model: the layer that turns hidden states into logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from lamol_core.models.attention import deviates

CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
"""The names of a logit soft cap in configurations. A cap changes large logits only, so a trial with
an untrained model would not find it."""


@dataclass(frozen=True)
class LinearHead:
    """A head that is one matrix: `weight` (V, d), and `bias` (V,) or None."""

    weight: Tensor
    bias: Tensor | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """The logits (N, V) of hidden states (N, d), in the dtype of the states."""
        return F.linear(hidden, self.weight, self.bias)

    def copy(self) -> LinearHead:
        """A copy of the head that shares no memory with the model."""
        bias = None if self.bias is None else self.bias.detach().clone()
        return LinearHead(self.weight.detach().clone(), bias)


def linear_head(model: PreTrainedModel) -> LinearHead | None:
    """The model's head; None where the logits are more than one matrix product of the hidden
    states."""
    head = model.get_output_embeddings()
    config = model.config.get_text_config(decoder=True)
    if not isinstance(head, nn.Linear) or any(getattr(config, cap, None) for cap in CAPS):
        return None
    plain = LinearHead(head.weight, head.bias)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        ids = torch.arange(4, device=model.device)[None]
        expected = model(input_ids=ids, use_cache=False).logits
        hidden = model.base_model(input_ids=ids, use_cache=False)[0]
        has_its_width = hidden.shape[-1] == head.weight.shape[-1]
        fits = has_its_width and not deviates(plain.logits(hidden), expected)
    model.train(was_training)
    return plain if fits else None
