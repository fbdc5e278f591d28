"""The head of a causal model: the layer that turns hidden states into logits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lamol_core.errors import ConfigError
from lamol_core.models.attention import deviates

CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
"""The names of a logit soft cap in configurations. A cap changes large logits only, so a trial with
an untrained model would not find it."""


@dataclass(frozen=True)
class OwnRows:
    """Rows of an adapter that replace rows of a table of V: `values` (R, d), at `ids` (R,)."""

    ids: Tensor
    values: Tensor


@dataclass(frozen=True)
class LinearHead:
    """A head that is one matrix: `weight` (V, d), and `bias` (V,) or None. `own`: the rows of an
    adapter, which replace some of the matrix."""

    weight: Tensor
    bias: Tensor | None = None
    own: OwnRows | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """The logits (..., V) of hidden states (..., d), in the dtype of the states."""
        logits = F.linear(hidden, self.weight, self.bias)
        if self.own is None:
            return logits
        bias = None if self.bias is None else self.bias[self.own.ids]
        own = F.linear(hidden, self.own.values, bias)
        return logits.index_copy_(-1, self.own.ids, own)

    def copy(self) -> LinearHead:
        """A copy of the head that shares no memory with the model."""
        bias = None if self.bias is None else self.bias.detach().clone()
        weight = self.weight.detach().clone()
        if self.own is not None:
            weight[self.own.ids] = self.own.values.detach()
        return LinearHead(weight, bias)

    def on(self, table: Tensor, own: OwnRows | None) -> LinearHead:
        """This head on the matrix `table` (V, d), which must equal its own but for the rows of
        `own`. These rows alone are copied."""
        if own is None:
            return LinearHead(table, self.bias)
        return LinearHead(table, self.bias, OwnRows(own.ids, self.weight[own.ids].clone()))


def without_own_rows(layer: Any) -> tuple[Any, OwnRows | None]:
    """The layer that a wrapper of peft's for trainable tokens holds, and the rows that the adapter
    has of its own; any other layer as it is."""
    adapter = getattr(layer, "token_adapter", None)
    if adapter is None:
        return layer, None
    (name,) = adapter.active_adapters
    table = adapter.get_base_layer()
    ids = torch.tensor(adapter.token_indices[name], device=table.weight.device)
    return table, OwnRows(ids, adapter.trainable_tokens_delta[name])


def may_be_plain(head: Any, model: PreTrainedModel) -> bool:
    """Whether logits seem to be one matrix product of the hidden states: a linear head, no cap."""
    config = model.config.get_text_config(decoder=True)
    return isinstance(head, nn.Linear) and not any(getattr(config, cap, None) for cap in CAPS)


def linear_layers(model: PreTrainedModel) -> Iterator[tuple[str, nn.Linear | Conv1D]]:
    """The linear layers of a model besides its head, each with the last part of its name."""
    head = model.get_output_embeddings()
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Linear, Conv1D)) and layer is not head:
            yield name.rpartition(".")[2], layer


def require_targets(model: PreTrainedModel, targets: Literal["all-linear"] | list[str]) -> None:
    """Raises ConfigError where `adapter.targets` names anything but linear layers of a model. Its
    weights may be on the meta device."""
    known = sorted({name for name, _ in linear_layers(model)})
    if targets != "all-linear" and not set(known) >= set(targets) > set():
        raise ConfigError(
            f"params.yaml: adapter.targets: {targets}: name linear layers of the model besides its "
            f"head ({', '.join(known)}), or write all-linear."
        )


def linear_head(model: PreTrainedModel) -> LinearHead | None:
    """The model's head; None where the logits are more than one matrix product of the hidden
    states."""
    head, own = without_own_rows(model.get_output_embeddings())
    if not may_be_plain(head, model):
        return None
    plain = LinearHead(head.weight, head.bias, own)
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
