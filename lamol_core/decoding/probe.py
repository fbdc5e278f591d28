"""Whether a model can be decoded in slots, found out by trying it."""

import logging

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Written
from lamol_core.decoding.engine import SlotEngine
from lamol_core.models.attention import deviates, is_plain_causal

log = logging.getLogger(__name__)

PROMPTS = ((7,), (5, 6, 7, 8))
CONTINUATION = (8, 5, 6)
"""Ids that any vocabulary has; what they mean does not matter."""


class Dictate:
    """Chooses the same continuation for every row, and keeps the logits it was shown."""

    max_tokens = len(CONTINUATION)
    wants_nll = False

    def __init__(self, num_rows: int) -> None:
        self.seen: list[list[Tensor]] = [[] for _ in range(num_rows)]

    def choose(self, logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        for row, shown in zip(rows.tolist(), logits.float(), strict=True):
            self.seen[row].append(shown.clone())
        lengths = torch.tensor([len(self.seen[row]) for row in rows.tolist()], device=rows.device)
        continuation = torch.tensor(CONTINUATION, device=rows.device)
        return continuation[lengths - 1], lengths == self.max_tokens


def runs_in_slots(model: PreTrainedModel, pad: int) -> bool:
    """Compare the logits of two rows of different length in slots with those of plain forwards.

    Windows and the like would only show in longer rows: what the configuration tells of them rules
    a model out.
    """
    if not is_plain_causal(model):
        log.debug("no slots: more than causal attention")
        return False
    dictate = Dictate(len(PROMPTS))
    written = Written(len(PROMPTS), dictate.max_tokens, model.device)
    try:
        SlotEngine(model, PROMPTS, dictate, written, len(PROMPTS), pad).run(lambda count: None)
    except Exception as error:  # whatever an unknown architecture makes of an unknown cache
        log.debug("no slots: %s: %s", type(error).__name__, error)
        return False
    for prompt, seen in zip(PROMPTS, dictate.seen, strict=True):
        ids = torch.tensor([[*prompt, *CONTINUATION[:-1]]], device=model.device)
        with torch.inference_mode():
            expected = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 :]
        if deviates(torch.stack(seen), expected):
            log.debug("no slots: the logits are others")
            return False
    return True
