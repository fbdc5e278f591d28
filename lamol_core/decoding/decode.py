"""Continue prompts with a causal model: in the engine of slots, or by `generate()`."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack

from transformers import PreTrainedModel

from lamol_core.decoding.completions import Completion, NextTokens, Progress, Writer
from lamol_core.decoding.engine import SlotEngine
from lamol_core.decoding.probe import runs_in_slots
from lamol_core.decoding.transformers_generate import generate_rows
from lamol_core.models.attention import PADDED, UnsupportedAttention, attending
from lamol_core.text.template import ControlTokens

log = logging.getLogger(__name__)


def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    choose: NextTokens,
    max_tokens: int,
    control: ControlTokens,
    batch_size: int,
    on_rows_done: Progress = lambda count: None,
    wants_nll: bool = False,
) -> list[Completion]:
    """Continue every prompt to EOS or by `max_tokens`; results are in the prompts' order.

    A row's tokens depend on its prompt and on `choose` alone, up to the order of float sums, which
    can differ with the number of rows in a matrix product.
    """
    if not prompts:
        return []
    writer = Writer(choose, len(prompts), max_tokens, control.eos, model.device, wants_nll)
    with ExitStack() as stack:
        can_attend = True
        if model.device.type == "cpu":  # with an attention for short rows, if the model lets us
            try:
                stack.enter_context(attending(model, PADDED))
            except UnsupportedAttention:
                can_attend = False
        if can_attend and runs_in_slots(model, control.pad):
            SlotEngine(model, prompts, writer, batch_size, control.pad).run(on_rows_done)
            return writer.completions()
    log.warning(
        "%s does not run in the decoding engine; generate() of transformers is used, which is "
        "slower.",
        type(model).__name__,
    )
    generate_rows(model, prompts, writer, batch_size, control, on_rows_done)
    return writer.completions()
