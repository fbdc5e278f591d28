"""Logits at chosen positions alone: the vocabulary is large, and most positions need no logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class LogitsAt(nn.Module):
    """A causal model whose forward gives fp32 logits (N, V) at (row, column) positions (N, 2).

    The head is applied to the hidden states of these positions, if the model's head is just that
    (found out by trying); a model that does more (scaling, soft caps) computes all its logits.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self.has_plain_head = _has_plain_head(model)

    def forward(self, ids: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        rows, columns = positions.unbind(dim=1)
        if not self.has_plain_head:
            output = self.model(input_ids=ids, attention_mask=mask, use_cache=False)
            return output.logits[rows, columns].float()
        hidden = self.model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)[0]
        return self.model.get_output_embeddings()(hidden[rows, columns]).float()


def _has_plain_head(model: PreTrainedModel) -> bool:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        ids = torch.arange(4, device=model.device)[None]
        expected = model(input_ids=ids, use_cache=False).logits
        hidden = model.base_model(input_ids=ids, use_cache=False)[0]
        head = model.get_output_embeddings()
        same = (
            head is not None
            and hidden.shape[-1] == head.weight.shape[-1]
            and torch.allclose(head(hidden), expected, rtol=1e-4, atol=1e-4)
        )
    model.train(was_training)
    return bool(same)
