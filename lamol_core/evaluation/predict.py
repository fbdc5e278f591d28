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
    rows_cut: int = 0
    answers_cut: int = 0

    def cuts(self, params: EvaluateParams) -> list[str]:
        """A sentence on the rows that were cut, and one on the answers; [] where none were cut."""
        cuts = []
        if self.rows_cut:
            limit = "text.max_length, or to the model's positions"
            cuts.append(f"rows that lost their beginning, to fit {limit}: {self.rows_cut}")
        if self.answers_cut:
            limit = f"evaluate.max_target_tokens ({params.max_target_tokens})"
            cuts.append(f"answers cut off at {limit}: {self.answers_cut}. Raise it for longer ones")
        return cuts


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
    template = codec.template(TaskPrompts(systems={system: system for system in systems}))
    around = {system: len(template.answer_prompt((), system)) for system in {*systems}}
    most_around = max(around.values(), default=0)
    keys = "evaluate.max_target_tokens"
    require_positions(model, most_around + 1 + params.max_target_tokens, keys)
    most = max_length - 1  # of a prompt, as the answer needs one
    if (positions := num_positions(model)) is not None:
        most = min(most, positions - params.max_target_tokens)
    if most_around >= most:
        raise ConfigError(
            f"params.yaml: text.max_length = {max_length}: {most_around + 1} tokens stand around "
            "an input and its answer. Raise it."
        )
    rooms = [most - around[system] for system in systems]
    encoded = codec.encode_inputs(inputs)
    kept = [ids[-room:] for ids, room in zip(encoded, rooms, strict=True)]
    turns = [codec.encode_history(history) for history in histories]
    kept_turns = [
        newest(template, before, room - len(ids))
        for before, ids, room in zip(turns, kept, rooms, strict=True)
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
            len(ids) > len(left) or len(before) > len(left_before)
            for ids, left, before, left_before in zip(encoded, kept, turns, kept_turns, strict=True)
        ),
        answers_cut=sum(completion.ids[-1] != template.end for completion in completions),
    )
