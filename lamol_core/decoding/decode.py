"""Continue prompts with a causal model: in the decoding engine, or with transformers'
`generate()`.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Completion, NextTokens, Progress, Writer
from lamol_core.decoding.engine import SlotEngine, num_shared
from lamol_core.decoding.transformers_generate import generate_rows
from lamol_core.models import attention
from lamol_core.text.template import End

log = logging.getLogger(__name__)

PROMPTS = ((7,), (5, 6, 7, 8))
BEGINNING = (9, 8, 7, 6, 5, 4, 9, 8, 7, 6)
CONTINUATION = (8, 5, 6)
"""Small ids, which any vocabulary has. Their meaning does not matter."""


def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    choose: NextTokens,
    max_tokens: int,
    ends: Sequence[End],
    pad: int,
    batch_size: int,
    on_rows_done: Progress = lambda count: None,
    wants_nll: bool = False,
) -> list[Completion]:
    """Continue every prompt until its End or for `max_tokens` tokens; returns completions in the
    prompts' order.

    A row's tokens depend only on its prompt and on `choose`, up to rounding, which can differ with
    the number of rows in a matrix product."""
    if not prompts:
        return []
    writer = Writer(choose, ends, max_tokens, model.device, wants_nll)
    try:
        on_cpu = model.device.type == "cpu"  # with an attention for short rows
        with attention.attending(model, attention.PADDED) if on_cpu else nullcontext():
            if runs_in_slots(model, pad, BEGINNING if num_shared(prompts) else ()):
                SlotEngine(model, prompts, writer, batch_size, pad).run(on_rows_done)
                return writer.completions()
    except attention.UnsupportedAttention as error:
        log.debug("no slots: %s", error)
    sentence = "%s cannot run in the decoding engine; the slower generate() is used."
    log.warning(sentence, type(model).__name__, extra={"first_met": 1})
    generate_rows(model, prompts, writer, batch_size, pad, on_rows_done)
    return writer.completions()


def runs_in_slots(model: PreTrainedModel, pad: int, beginning: tuple[int, ...] = ()) -> bool:
    """Whether the decoding engine gives this model's logits: two rows of different length are
    compared with plain forwards. `beginning`: what both begin with, which is read once.

    The test rows are too short to show a sliding window. A model whose configuration asks for more
    than causal attention is therefore refused without a test."""
    if not attention.is_plain_causal(model):
        log.debug("no slots: needs more than causal attention")
        return False
    prompts = [beginning + prompt for prompt in PROMPTS]
    shown: list[list[Tensor]] = [[] for _ in prompts]
    continuation = torch.tensor(CONTINUATION, device=model.device)

    def continue_as_given(logits: Tensor, rows: Tensor, length: Tensor) -> Tensor:
        for row, values in zip(rows.tolist(), logits.float(), strict=True):
            shown[row].append(values.clone())
        return continuation[length]

    ends = [End(token=-1)] * len(prompts)
    writer = Writer(continue_as_given, ends, len(CONTINUATION), model.device)
    try:
        SlotEngine(model, prompts, writer, len(prompts), pad).run(lambda count: None)
    except Exception as error:  # an unknown architecture may raise anything
        log.debug("no slots: %s: %s", type(error).__name__, error)
        return False
    for prompt, found in zip(prompts, shown, strict=True):
        ids = torch.tensor([[*prompt, *CONTINUATION[:-1]]], device=model.device)
        with torch.inference_mode():
            expected = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 :]
        if attention.deviates(torch.stack(found), expected):
            log.debug("no slots: the logits differ")
            return False
    return True
