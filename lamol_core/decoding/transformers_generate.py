"""Decode with transformers' `generate()`. It is slower, and serves models that cannot run in
slots.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from lamol_core.decoding.completions import Progress, Writer, rows_by_length


class ChosenAlone(LogitsProcessor):
    """A logits processor that allows each row only one token: the one that the writer has
    chosen."""

    def __init__(self, writer: Writer, rows: Tensor, pad: int) -> None:
        self._writer, self._rows, self._pad = writer, rows, pad
        self.ended = torch.zeros_like(rows, dtype=torch.bool)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, V) in which all ids but one per row are -inf."""
        live = ~self.ended
        tokens = torch.full_like(self._rows, self._pad)
        tokens[live], self.ended[live] = self._writer.write(scores[live], self._rows[live])
        return torch.full_like(scores, float("-inf")).scatter_(1, tokens[:, None], 0.0)


class WriterHasEnded(StoppingCriteria):
    """Stops the rows that have ended by the writer."""

    def __init__(self, chosen: ChosenAlone) -> None:
        self._chosen = chosen

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        """Whether each row has ended: (B,) bool."""
        return self._chosen.ended.clone()


@torch.inference_mode()
def generate_rows(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    writer: Writer,
    batch_size: int,
    pad: int,
    on_rows_done: Progress,
) -> None:
    """Write all rows. Prompts of similar length form batches and are padded on the left."""
    by_length = rows_by_length(prompts)
    wanted = GenerationConfig(do_sample=False, max_new_tokens=writer.max_tokens, pad_token_id=pad)
    # the model's own configuration may ask for a repetition penalty or the like
    before, model.generation_config = model.generation_config, GenerationConfig()
    try:
        for start in range(0, len(by_length), batch_size):
            rows = torch.tensor(by_length[start : start + batch_size], device=model.device)
            batch = [torch.tensor(prompts[row], device=model.device) for row in rows.tolist()]
            chosen = ChosenAlone(writer, rows, pad)
            model.generate(
                input_ids=pad_sequence(batch, True, pad, "left"),
                attention_mask=pad_sequence(list(map(torch.ones_like, batch)), True, 0, "left"),
                generation_config=wanted,
                logits_processor=LogitsProcessorList([chosen]),
                stopping_criteria=StoppingCriteriaList([WriterHasEnded(chosen)]),
            )
            on_rows_done(len(rows))
    finally:
        model.generation_config = before
