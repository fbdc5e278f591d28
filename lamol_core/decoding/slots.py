"""A key-value cache with a fixed number of slots, which is allocated once and reused by many rows.

Slot i of every layer holds the keys and values of one row, from its position 0 on. Rows that run
together may differ in length. What a slot holds beyond its row's length is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin


class SlotLayer(CacheLayerMixin):
    """The keys and values of one layer, each (slots, heads, capacity, width of a head)."""

    def __init__(self, cache: SlotCache) -> None:
        CacheLayerMixin.__init__(self)
        self._cache = cache

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        shape = (self._cache.num_slots, key_states.shape[1], self._cache.capacity)
        # zeros: what is masked must be finite
        self.keys = key_states.new_zeros(*shape, key_states.shape[3])
        self.values = value_states.new_zeros(*shape, value_states.shape[3])
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        slots, positions, width = self._cache.slots, self._cache.positions, self._cache.width
        if positions is None:  # prompts, each after what its slot has already
            start = self._cache.start
            self.keys[slots, :, start:width] = key_states
            self.values[slots, :, start:width] = value_states
            if not start:
                return key_states, value_states
            return self.keys[slots, :, :width], self.values[slots, :, :width]
        self.keys[slots, :, positions] = key_states[:, :, 0]
        self.values[slots, :, positions] = value_states[:, :, 0]
        return self.keys[: len(slots), :, :width], self.values[: len(slots), :, :width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._cache.width, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return self._cache.capacity


class SlotCache(Cache):
    """The cache given to a model's forward. Call `begin` or `advance` before each forward."""

    slots: Tensor
    positions: Tensor | None
    width: int
    start: int = 0

    def __init__(self, config: PreTrainedConfig, num_slots: int, capacity: int) -> None:
        self.num_slots, self.capacity = num_slots, capacity
        num_layers = config.get_text_config(decoder=True).num_hidden_layers
        super().__init__(layers=[SlotLayer(self) for _ in range(num_layers)])

    def begin(self, slots: Tensor, width: int, start: int = 0) -> None:
        """Announce that the next forward reads new rows into these slots (K,), up to `width` tokens
        each. The first `start` tokens are in the slots already."""
        self.slots, self.positions, self.width, self.start = slots, None, width, start

    def share(self, width: int) -> None:
        """Copy the first `width` tokens of slot 0 to all slots."""
        self.move([0] * (self.num_slots - 1), list(range(1, self.num_slots)), width)

    def advance(self, positions: Tensor) -> None:
        """Announce that the next forward reads one token for each row in the first slots, at
        `positions` (K,)."""
        self.slots = torch.arange(len(positions), device=positions.device)
        self.positions = positions
        self.width = int(positions.max()) + 1

    def move(self, sources: Sequence[int], targets: Sequence[int], width: int) -> None:
        """Copy the first `width` tokens of rows from the slots `sources` to the slots `targets`."""
        for layer in self.layers:
            assert isinstance(layer, SlotLayer)
            for states in (layer.keys, layer.values):
                if states is not None:
                    states[targets, :, :width] = states[sources, :, :width]


def bytes_per_slot(model: PreTrainedModel, capacity: int) -> int:
    """The bytes of keys and values for a row of `capacity` tokens, computed from the model's
    configuration."""
    config = model.config.get_text_config(decoder=True)
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    a_token = 2 * config.num_hidden_layers * key_heads * width * model.dtype.itemsize
    return int(a_token * capacity)
