"""The hidden states of a micro-batch: a model without its head, run on packed rows if it can be."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lamol_core.models.attention import PACKED, attending, deviates, is_plain_causal
from lamol_core.models.compiled import compile_blocks
from lamol_core.models.head import LinearHead, linear_head
from lamol_core.models.packing import Pack
from lamol_core.text.encoded import EncodedView
from lamol_core.training.batches import MicroBatch

log = logging.getLogger(__name__)


class Body(nn.Module):
    """A causal model whose forward gives what the losses are computed from, at chosen tokens.

    These are the hidden states that its `head` is applied to, (N, d). A model whose logits are
    more than that (soft caps, scales) has head None here, and gives its logits (N, V), having made
    those of all tokens: that costs memory. With
    `packed` the model must run under `attending(model, PACKED)`.
    """

    def __init__(self, model: PreTrainedModel, head: LinearHead | None, packed: bool) -> None:
        super().__init__()
        self.model, self.head, self._packed = model, head, packed

    def forward(self, micro: MicroBatch, at: Tensor) -> Tensor:
        """States of the tokens at the positions `at` (N,) of the micro-batch."""
        return self._states(micro)[at]

    def _states(self, micro: MicroBatch) -> Tensor:
        """(T, d), or (T, V) without a plain head."""
        if self._packed:
            inputs: dict[str, Any] = {
                "input_ids": micro.ids[None],
                "position_ids": micro.positions[None],
                "pack": Pack.of(micro.lengths).to(micro.ids.device),
            }
        else:
            lengths = torch.tensor(micro.lengths)
            mask = (torch.arange(int(lengths.max())) < lengths[:, None]).to(micro.ids.device)
            # what stands in the padding does not matter: nothing looks at it
            padded = micro.ids.new_zeros(mask.shape)
            padded[mask] = micro.ids
            inputs = {"input_ids": padded, "attention_mask": mask.long()}
        if self.head is None:
            states = self.model(**inputs, use_cache=False).logits
        else:
            states = self.model.base_model(**inputs, use_cache=False)[0]
        return states[0] if self._packed else states[mask]


@contextmanager
def as_body(
    model: PreTrainedModel, attention: str = PACKED, compiled: bool = False
) -> Iterator[Body]:
    """A model as its body, for as long as it is trained or run; then as before.

    `attention` is "packed", or one of transformers' own, whose rows are padded. A model that
    cannot be packed is padded, with a warning.
    """
    head, packed = linear_head(model), attention == PACKED
    if packed and not can_be_packed(model, head):
        packed = False
        log.warning(
            "%s cannot attend to packed rows; they are padded, which is slower.",
            type(model).__name__,
        )
    with attending(model, PACKED, compiled) if packed else nullcontext():
        if compiled:
            compile_blocks(model)
        yield Body(model, head, packed)


def can_be_packed(model: PreTrainedModel, head: LinearHead | None) -> bool:
    """Whether packed rows give the states of rows apart, found out by trying two rows."""
    if not is_plain_causal(model):
        return False
    views = [EncodedView("", "new", "qa", ids, 0) for ids in ((7, 5), (8, 6, 5, 7))]
    micro = MicroBatch.of(views).to(model.device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            apart = Body(model, head, packed=False)._states(micro)
            with attending(model, PACKED):
                together = Body(model, head, packed=True)._states(micro)
    except Exception as error:  # whatever an unknown architecture makes of an unknown argument
        log.debug("not packed: %s: %s", type(error).__name__, error)
        return False
    finally:
        model.train(was_training)
    return not deviates(together, apart)
