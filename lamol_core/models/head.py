"""The head of a causal model: what turns hidden states into logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from lamol_core.models.attention import deviates


@dataclass(frozen=True)
class LinearHead:
    """What turns hidden states into logits: `weight` (V, d) and perhaps a bias (V,)."""

    weight: Tensor
    bias: Tensor | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """(N, V) for hidden states (N, d), in their format."""
        return F.linear(hidden, self.weight, self.bias)

    def copy(self) -> LinearHead:
        """The same numbers, apart from any model."""
        bias = None if self.bias is None else self.bias.detach().clone()
        return LinearHead(self.weight.detach().clone(), bias)


def linear_head(model: PreTrainedModel) -> LinearHead | None:
    """The model's head, if its logits are just that of its hidden states."""
    head = model.get_output_embeddings()
    # a cap bends large logits alone, which the few that are tried below need not be
    capped = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    if not isinstance(head, nn.Linear) or capped:
        return None
    plain = LinearHead(head.weight, head.bias)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        ids = torch.arange(4, device=model.device)[None]
        expected = model(input_ids=ids, use_cache=False).logits
        hidden = model.base_model(input_ids=ids, use_cache=False)[0]
        fits = hidden.shape[-1] == head.weight.shape[-1] and not deviates(
            plain.logits(hidden), expected
        )
    model.train(was_training)
    return plain if fits else None
