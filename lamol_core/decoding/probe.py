"""Whether a model can be decoded in slots, found out by trying it."""

import logging

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Writer
from lamol_core.decoding.engine import SlotEngine
from lamol_core.models.attention import deviates, is_plain_causal

log = logging.getLogger(__name__)

PROMPTS = ((7,), (5, 6, 7, 8))
CONTINUATION = (8, 5, 6)
"""Ids that any vocabulary has; what they mean does not matter."""


def runs_in_slots(model: PreTrainedModel, pad: int) -> bool:
    """Compare the logits of two rows of different length in slots with those of plain forwards.

    A sliding window would show in longer rows only: models whose configuration names more than
    causal attention are not tried.
    """
    if not is_plain_causal(model):
        log.debug("no slots: more than causal attention")
        return False
    shown: list[list[Tensor]] = [[] for _ in PROMPTS]
    continuation = torch.tensor(CONTINUATION, device=model.device)

    def continue_as_given(logits: Tensor, rows: Tensor, length: Tensor) -> Tensor:
        for row, values in zip(rows.tolist(), logits.float(), strict=True):
            shown[row].append(values.clone())
        return continuation[length]

    writer = Writer(continue_as_given, len(PROMPTS), len(CONTINUATION), -1, model.device)
    try:
        SlotEngine(model, PROMPTS, writer, len(PROMPTS), pad).run(lambda count: None)
    except Exception as error:  # whatever an unknown architecture makes of an unknown cache
        log.debug("no slots: %s: %s", type(error).__name__, error)
        return False
    for prompt, found in zip(PROMPTS, shown, strict=True):
        ids = torch.tensor([[*prompt, *CONTINUATION[:-1]]], device=model.device)
        with torch.inference_mode():
            expected = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 :]
        if deviates(torch.stack(found), expected):
            log.debug("no slots: the logits differ")
            return False
    return True
