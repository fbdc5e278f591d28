"""Continue prompts with a causal model: in the engine of slots, or by `generate()`."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack

from transformers import PreTrainedModel

from lamol_core.decoding.completions import Completion, Progress, RowChooser, Written
from lamol_core.decoding.engine import SlotEngine
from lamol_core.decoding.probe import runs_in_slots
from lamol_core.decoding.transformers_generate import generate_rows
from lamol_core.models.attention import PADDED, UnsupportedAttention, attending

log = logging.getLogger(__name__)


def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    chooser: RowChooser,
    batch_size: int,
    pad: int,
    on_rows_done: Progress = lambda count: None,
) -> list[Completion]:
    """Continue every prompt, `batch_size` rows at a time; results are in the prompts' order.

    A row's tokens depend on its prompt and its chooser alone, up to the order in which the
    processor adds up numbers: that can differ with the number of rows in a matrix product.
    """
    if not prompts:
        return []
    written = Written(len(prompts), chooser.max_tokens, model.device)
    with ExitStack() as stack:
        can_attend = True
        if model.device.type == "cpu":  # with an attention for short rows, if the model lets us
            try:
                stack.enter_context(attending(model, PADDED))
            except UnsupportedAttention:
                can_attend = False
        if can_attend and runs_in_slots(model, pad):
            engine = SlotEngine(model, prompts, chooser, written, batch_size, pad)
            engine.run(on_rows_done)
            return written.completions()
    log.warning(
        "%s does not run in the decoding engine; generate() of transformers is used, which is "
        "slower.",
        type(model).__name__,
    )
    generate_rows(model, prompts, chooser, written, batch_size, pad, on_rows_done)
    return written.completions()
