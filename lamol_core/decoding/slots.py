"""A key-value cache of a fixed number of slots, allocated once, in which rows come and go.

Slot i of every layer holds the keys and values of one row, from its position 0 on. Rows that run
together are of different lengths; what a slot holds beyond its row's length is never attended to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values, (slots, heads, capacity, width of a head)."""

    def __init__(self, plan: SlotPlan) -> None:
        super().__init__()
        self._plan = plan

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        def room_for(states: Tensor) -> Tensor:
            heads, width = states.shape[1], states.shape[3]
            shape = (self._plan.num_slots, heads, self._plan.capacity, width)
            return states.new_zeros(shape)  # zeros: what is masked must be finite

        self.keys, self.values = room_for(key_states), room_for(value_states)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        plan, new = self._plan, key_states.shape[2]
        if plan.positions is None:  # prompts, each from its slot's beginning
            self.keys[plan.slots, :, :new] = key_states
            self.values[plan.slots, :, :new] = value_states
            return key_states, value_states
        self.keys[plan.slots, :, plan.positions] = key_states[:, :, 0]
        self.values[plan.slots, :, plan.positions] = value_states[:, :, 0]
        live = len(plan.slots)
        return self.keys[:live, :, : plan.width], self.values[:live, :, : plan.width]

    def move(self, sources: Tensor, targets: Tensor, width: int) -> None:
        for states in (self.keys, self.values):
            if states is not None:
                states[targets, :, :width] = states[sources, :, :width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._plan.width, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return self._plan.capacity


class SlotPlan:
    """Which slots the next forward writes to, and where. Shared by all layers."""

    def __init__(self, num_slots: int, capacity: int) -> None:
        self.num_slots, self.capacity = num_slots, capacity
        self.slots = torch.empty(0, dtype=torch.long)
        self.positions: Tensor | None = None
        self.width = 0


class SlotCache(Cache):
    """The cache that a model's forward is given. Say `begin` or `advance` before each forward."""

    def __init__(self, config: PreTrainedConfig, num_slots: int, capacity: int) -> None:
        self._plan = SlotPlan(num_slots, capacity)
        num_layers = config.get_text_config(decoder=True).num_hidden_layers
        self._slot_layers = [SlotLayer(self._plan) for _ in range(num_layers)]
        super().__init__(layers=list(self._slot_layers))

    def begin(self, slots: Tensor, width: int) -> None:
        """The next forward reads the first `width` tokens of new rows into these slots (K,)."""
        self._plan.slots, self._plan.positions, self._plan.width = slots, None, width

    def advance(self, positions: Tensor) -> None:
        """The next forward reads one token each of the rows in the first slots, at `positions`."""
        self._plan.slots = torch.arange(len(positions), device=positions.device)
        self._plan.positions = positions
        self._plan.width = int(positions.max()) + 1

    def move(self, sources: Sequence[int], targets: Sequence[int], width: int) -> None:
        """Copy rows, `width` tokens of them, from slots to slots."""
        device = self._plan.slots.device
        source, target = torch.tensor(sources, device=device), torch.tensor(targets, device=device)
        for layer in self._slot_layers:
            layer.move(source, target, width)


def bytes_per_slot(model: PreTrainedModel, capacity: int) -> int:
    """What keys and values of a row of `capacity` tokens take, by the model's configuration."""
    config = model.config.get_text_config(decoder=True)
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    a_token = 2 * config.num_hidden_layers * key_heads * width * model.dtype.itemsize
    return a_token * capacity
