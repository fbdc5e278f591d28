"""Answers test rows greedily: the model reads all of a row before y, and writes y."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from lamol_core.decoding.answers import answer_greedily
from lamol_core.decoding.completions import Progress
from lamol_core.errors import ConfigError
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.models.checkpoints import num_positions, require_positions
from lamol_core.text.template import TaskPrompts, newest
from lamol_core.text.tokenizer import TextCodec


@dataclass(frozen=True)
class Answers:
    """The answer to each input, in order. `rows_cut` counts the rows whose beginning was
    cut, `answers_cut` the answers that were cut off at `max_target_tokens`."""

    texts: list[str]
    rows_cut: int
    answers_cut: int


def predict(
    model: PreTrainedModel,
    codec: TextCodec,
    inputs: Sequence[str],
    params: EvaluateParams,
    max_length: int,
    on_rows_done: Progress = lambda count: None,
    systems: Sequence[str] = (),
    histories: Sequence[str] = (),
) -> Answers:
    """Answer every input greedily. `systems`: the system message of each, in chat data;
    `histories`: the turns before each.

    The end of an input is kept, as much as fits `max_length` with what stands around it, or less
    where the longest answer needs some of the model's positions; then the newest turns that fit.
    Raises ConfigError where no position is left, and where the template has no place for several
    turns."""
    systems, histories = systems or [""] * len(inputs), histories or [""] * len(inputs)
    distinct = set(systems)
    template = codec.template(TaskPrompts(systems={system: system for system in distinct}))
    prefix = max((len(template.answer_prompt((), system)) for system in distinct), default=0)
    room = max_length - prefix - 1
    require_positions(model, prefix + 1 + params.max_target_tokens, "evaluate.max_target_tokens")
    if (positions := num_positions(model)) is not None:
        room = min(room, positions - params.max_target_tokens - prefix)
    if room < 1:
        raise ConfigError(
            f"params.yaml: text.max_length = {max_length}: {prefix + 1} tokens stand around an "
            "input and its answer. Raise it."
        )
    encoded = codec.encode_inputs(inputs)
    kept = [ids[-room:] for ids in encoded]
    turns = [codec.encode_history(history) for history in histories]
    kept_turns = [
        newest(template, before, room - len(ids)) for before, ids in zip(turns, kept, strict=True)
    ]
    prompts = [template.answer_prompt(*row) for row in zip(kept, systems, kept_turns, strict=True)]
    completions = answer_greedily(
        model, template, prompts, params.max_target_tokens, params.batch_size, on_rows_done
    )
    texts = [
        codec.decode_target([token for token in completion.ids if token != template.end])
        for completion in completions
    ]
    return Answers(
        texts,
        rows_cut=sum(
            len(ids) > room or len(before) > len(left)
            for ids, before, left in zip(encoded, turns, kept_turns, strict=True)
        ),
        answers_cut=sum(completion.ids[-1] != template.end for completion in completions),
    )
