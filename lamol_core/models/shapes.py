"""A model without weights: its numbers, and one block of it, which can be timed and weighed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lamol_core.models.attention import PACKED, attending, is_plain_causal
from lamol_core.models.head import linear_layers, may_be_plain
from lamol_core.models.packing import Pack

MOST_NUMBERS = 2**28
"""A block with a larger matrix, such as one of many experts, is not tried: it takes too much
memory."""
SPREAD = 0.02


class UntriedBlock(Exception):
    """The model's blocks can't be tried alone."""


@dataclass(frozen=True)
class Shapes:
    """The numbers of a model on the meta device, of which nothing is allocated."""

    name: str
    num_weights: int
    num_head_weights: int
    """Of the layer that makes logits. Where it is tied, they are the embedding's too."""
    num_blocks: int
    width: int
    vocabulary: int
    num_block_weights: int
    """Of all but the embedding and the head."""
    linear_sides: Mapping[str, int]
    """The in- and outputs of the linear layers besides the head, added up by the layers' names: an
    adapter of rank r has r times as many weights there."""
    num_tables: int
    """1 where the head is tied to the embedding, else 2."""
    has_plain_head: bool
    """Whether logits seem to be one matrix product of the hidden states, so that a training makes
    them a few tokens at a time."""

    @classmethod
    def of(cls, model: PreTrainedModel) -> Shapes:
        config = model.config.get_text_config(decoder=True)
        embedding: Any = model.get_input_embeddings()
        head: Any = model.get_output_embeddings()
        num_weights, num_head_weights = model.num_parameters(), count_weights(head)
        is_tied = head.weight is embedding.weight
        tables = num_head_weights + (0 if is_tied else count_weights(embedding))
        sides: Counter[str] = Counter()
        for name, layer in linear_layers(model):
            sides[name] += sum(layer.weight.shape)
        return cls(
            name=type(model).__name__,
            num_weights=num_weights,
            num_head_weights=num_head_weights,
            num_blocks=config.num_hidden_layers,
            width=embedding.weight.shape[1],
            vocabulary=embedding.weight.shape[0],
            num_block_weights=num_weights - tables,
            linear_sides=sides,
            num_tables=1 if is_tied else 2,
            has_plain_head=may_be_plain(head, model),
        )


def count_weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class TriedBlock:
    """The first block of a model, with random weights. All its matrices share the memory of the
    largest one, so that a block of 8 billion weights takes 0.2 GB."""

    def __init__(
        self, model: PreTrainedModel, dtype: torch.dtype, attention: str, device: torch.device
    ) -> None:
        """Cuts `model`, which is on the meta device, down to this block; it is of no other use
        then. Raises UntriedBlock for a model without a stack of blocks, or with too large ones."""
        stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
        if not stacks:
            raise UntriedBlock(type(model).__name__)
        blocks = max(stacks, key=count_weights)
        self.num_weights = count_weights(blocks[0])
        self._packed = attention == PACKED and is_plain_causal(model)
        if not self._packed:
            model.set_attn_implementation("eager" if attention == PACKED else attention)
        embedding: Any = model.get_input_embeddings()
        self._width, self._device = embedding.weight.shape[1], device
        del blocks[1:]
        model.config.get_text_config(decoder=True).num_hidden_layers = 1
        self._body, self._model = model.base_model.to(dtype).train(), model
        matrices = [p.numel() for p in blocks[0].parameters() if p.ndim >= 2]
        if not matrices or max(matrices) > MOST_NUMBERS:
            raise UntriedBlock(f"a matrix of {max(matrices, default=0):,} numbers")
        self._shared = torch.empty(max(matrices), dtype=dtype, device=device).normal_(std=SPREAD)
        for module in self._body.modules():
            if module is not embedding:
                self._fill(module)

    def seconds(self, num_rows: int, length: int, is_frozen: bool = False) -> tuple[float, float]:
        """The seconds of a forward without gradients, and of a forward with its backward, of rows
        of one length. `is_frozen`: weights have no gradients. Raises UntriedBlock."""
        self._body.requires_grad_(not is_frozen)
        forward = self.forward_seconds(num_rows, length)
        states, started = self._states(num_rows, length).requires_grad_(), self._now()
        out = self._forward(states)
        torch.autograd.backward([out], [torch.ones_like(out)])
        return forward, self._now() - started

    @torch.no_grad()
    def forward_seconds(self, num_rows: int, length: int) -> float:
        """The seconds of a forward without gradients. Raises UntriedBlock."""
        states, started = self._states(num_rows, length), self._now()
        self._forward(states)
        return self._now() - started

    def saved_bytes(self, num_rows: int, length: int) -> int:
        """The bytes that a forward keeps for its backward, without weights. Raises UntriedBlock."""
        own = (self._shared, *self._body.parameters(), *self._body.buffers())
        of_weights = {tensor.untyped_storage()._cdata for tensor in own}
        saved: dict[int, Tensor] = {}

        def keep(tensor: Tensor) -> Tensor:
            saved.setdefault(tensor.untyped_storage()._cdata, tensor)
            return tensor

        self._body.requires_grad_(True)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = self._forward(self._states(num_rows, length).requires_grad_())
        del out
        kept = [tensor for storage, tensor in saved.items() if storage not in of_weights]
        return sum(tensor.untyped_storage().nbytes() for tensor in kept)

    def _states(self, num_rows: int, length: int) -> Tensor:
        shape = (num_rows, length, self._width)
        return torch.randn(shape, dtype=self._shared.dtype, device=self._device)

    def _forward(self, states: Tensor) -> Tensor:
        num_rows, length, width = states.shape
        inputs: dict[str, Any] = {"inputs_embeds": states, "use_cache": False}
        if self._packed:
            inputs["inputs_embeds"] = states.reshape(1, -1, width)
            positions = torch.arange(length).repeat(num_rows)[None]
            inputs["position_ids"] = positions.to(self._device)
            inputs["pack"] = Pack.of([length] * num_rows).to(self._device)
        try:
            with attending(self._model, PACKED) if self._packed else nullcontext():
                out: Tensor = self._body(**inputs)[0]
        except Exception as error:  # an unknown architecture may raise anything
            raise UntriedBlock(f"{type(error).__name__}: {error}") from error
        return out

    def _fill(self, module: nn.Module) -> None:
        """Give a module's own tensors memory. A gradient is dropped as soon as it is complete."""
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if parameter.ndim >= 2 and parameter.numel() <= len(self._shared):
                values = self._shared[: parameter.numel()].view(parameter.shape)
            elif parameter.numel() > MOST_NUMBERS:
                raise UntriedBlock(f"a table of {parameter.numel():,} numbers")
            else:
                values = torch.ones_like(parameter, device=self._device)
            filled = nn.Parameter(values.detach())
            filled.register_post_accumulate_grad_hook(_drop_gradient)
            module._parameters[name] = filled
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_meta:
                module._buffers[name] = torch.ones_like(buffer, device=self._device)

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def _drop_gradient(parameter: Tensor) -> None:
    parameter.grad = None
