"""Run a model without its head to get a micro-batch's hidden states, on packed rows where the model
allows it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lamol_core.models.attention import PACKED, attending, deviates, is_plain_causal
from lamol_core.models.head import LinearHead, linear_head
from lamol_core.models.packing import Distinct, Pack
from lamol_core.text.encoded import EncodedView
from lamol_core.training.batches import MicroBatch

log = logging.getLogger(__name__)


class Body(nn.Module):
    """A causal model whose forward returns hidden states (N, d) at chosen tokens, the input of
    `head`.

    `head` is None for a model whose logits are more than one matrix product (soft caps, scales).
    The forward then returns logits (N, V), after it made the logits of all tokens, which costs
    memory. With `packed` the model must run under `attending(model, PACKED)`."""

    def __init__(self, model: PreTrainedModel, head: LinearHead | None, packed: bool) -> None:
        super().__init__()
        self.model, self.head, self._packed = model, head, packed

    def forward(self, micro: MicroBatch, at: Tensor) -> Tensor:
        """The states of the tokens at the positions `at` (N,) in the micro-batch: (N, d), or logits
        (N, V) without a head."""
        if not self._packed:
            return self._of_padded(micro)[at]
        ids, positions, device = micro.ids, micro.positions, micro.ids.device
        distinct = Distinct.find([member.ids for member in micro.members])
        if distinct is not None:
            distinct = distinct.to(device)
            ids, positions, at = ids[distinct.place], positions[distinct.place], distinct.index[at]
        pack = Pack.of(micro.lengths, distinct).to(device)
        states = self._run(input_ids=ids[None], position_ids=positions[None], pack=pack)[0]
        return states.index_select(0, at)

    def _of_padded(self, micro: MicroBatch) -> Tensor:
        """The states of all tokens: (T, d), or logits (T, V) without a head."""
        lengths = torch.tensor(micro.lengths)
        mask = (torch.arange(int(lengths.max())) < lengths[:, None]).to(micro.ids.device)
        # the value of padding does not matter: no token attends to it
        padded = micro.ids.new_zeros(mask.shape)
        padded[mask] = micro.ids
        return self._run(input_ids=padded, attention_mask=mask.long())[mask]

    def _run(self, **inputs: Any) -> Tensor:
        """The states of every row's tokens: (B, L, d), or logits (B, L, V) without a head."""
        if self.head is None:
            logits: Tensor = self.model(**inputs, use_cache=False).logits
            return logits
        states: Tensor = self.model.base_model(**inputs, use_cache=False)[0]
        return states


@contextmanager
def as_body(
    model: PreTrainedModel, attention: str = PACKED, compiled: bool = False
) -> Iterator[Body]:
    """A context that yields a model as a Body. At its end the model's former attention returns.

    `attention` is "packed" or the name of one of transformers' own, which runs on padded rows. A
    model that cannot be packed is padded, with a warning. `compiled`: compile the model's blocks.
    """
    head, packed = linear_head(model), attention == PACKED
    if packed and not can_be_packed(model, head):
        packed = False
        sentence = "%s cannot attend to packed rows; they are padded, which is slower."
        log.warning(sentence, type(model).__name__, extra={"first_met": 1})
    with attending(model, PACKED, compiled) if packed else nullcontext():
        # the repeated blocks share their compiled code: the cost does not grow with their number
        for stack in model.modules() if compiled else ():
            if isinstance(stack, nn.ModuleList) and len(stack) > 1:
                for block in stack:
                    block.compile(dynamic=True)
        yield Body(model, head, packed)


def can_be_packed(model: PreTrainedModel, head: LinearHead | None) -> bool:
    """Whether packed rows give the same states as padded rows. Four short rows are tried, of which
    two begin alike and two as another one."""
    if not is_plain_causal(model):
        return False
    was_training = model.training
    model.eval()
    try:
        # the first ids are often special tokens; untrained, they have states of rounding errors
        first = model.config.get_text_config(decoder=True).vocab_size // 2
        tried = ((0, 1), (0, 1, 2), (3, 4, 5, 6), (3, 4, 5, 7, 8))
        rows = [tuple(first + one for one in row) for row in tried]
        views = [EncodedView("", "new", "qa", row, ()) for row in rows]
        micro = MicroBatch.of(views).to(model.device)
        every = torch.arange(len(micro.ids), device=model.device)
        with torch.no_grad():
            apart = Body(model, head, packed=False)(micro, every)
            with attending(model, PACKED):
                together = Body(model, head, packed=True)(micro, every)
    except Exception as error:  # an unknown architecture may raise anything
        log.debug("not packed: %s: %s", type(error).__name__, error)
        return False
    finally:
        model.train(was_training)
    return not deviates(together, apart)
