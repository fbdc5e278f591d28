"""Answers test rows greedily: the model reads `x ANS` and writes y."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from lamol_core.decoding.answers import answer_greedily
from lamol_core.decoding.completions import Progress
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.models.checkpoints import num_positions, require_positions
from lamol_core.text.tokenizer import TextCodec


@dataclass(frozen=True)
class Answers:
    """The answer to each input, in order. `inputs_cut` counts the inputs that were cut,
    `answers_cut` the answers that were cut off at `max_target_tokens`."""

    texts: list[str]
    inputs_cut: int
    answers_cut: int


def predict(
    model: PreTrainedModel,
    codec: TextCodec,
    inputs: Sequence[str],
    params: EvaluateParams,
    max_length: int,
    on_rows_done: Progress = lambda count: None,
) -> Answers:
    """Answer every input greedily. The last `max_length - 2` tokens of an input are kept, or
    fewer where the longest answer needs some of the model's positions. Raises ConfigError where
    no position is left."""
    template = codec.template()
    prefix = len(template.answer_prompt(()))
    room = max_length - prefix - 1
    require_positions(model, prefix + 1 + params.max_target_tokens, "evaluate.max_target_tokens")
    if (positions := num_positions(model)) is not None:
        room = min(room, positions - params.max_target_tokens - prefix)
    encoded = codec.encode_inputs(inputs)
    kept = [ids[-room:] for ids in encoded]
    completions = answer_greedily(
        model, template, kept, params.max_target_tokens, params.batch_size, on_rows_done
    )
    texts = [
        codec.decode_target([token for token in completion.ids if token != template.end])
        for completion in completions
    ]
    return Answers(
        texts,
        inputs_cut=sum(len(ids) > room for ids in encoded),
        answers_cut=sum(completion.ids[-1] != template.end for completion in completions),
    )
