"""Greedy answers to inputs (prompt x ANS, result y), and the likelihood of inputs."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from accelerate import PartialState
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Completion, NextTokens, Progress
from lamol_core.decoding.decode import decode
from lamol_core.models.checkpoints import load_model, num_positions
from lamol_core.records import PseudoSample, in_pairs
from lamol_core.text.codecs import load_codec
from lamol_core.text.params import TextParams
from lamol_core.text.template import End, RowTemplate, TaskPrompts
from lamol_core.text.tokenizer import TextCodec

SCORED_AT_ONCE = 32
"""How many rows are scored at once. The logits of all their tokens are in memory."""


def likeliest(forbidden: Sequence[int], device: torch.device) -> NextTokens:
    """A NextTokens function that chooses the likeliest token, but none of `forbidden`."""
    never = torch.tensor(forbidden, dtype=torch.long, device=device)
    return lambda logits, rows, length: logits.index_fill_(1, never, float("-inf")).argmax(dim=-1)


def answer_greedily(
    model: PreTrainedModel,
    template: RowTemplate,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    batch_size: int,
    on_rows_done: Progress = lambda count: None,
) -> list[Completion]:
    """The greedy answer to each of the template's prompts. It ends with the template's end if that
    came within `max_tokens`."""
    forbidden = {template.end_of_input, *template.never_in_text} - {template.end}
    choose = likeliest(sorted(forbidden), model.device)
    ends = [End(template.end)] * len(prompts)
    return decode(model, prompts, choose, max_tokens, ends, template.pad, batch_size, on_rows_done)


def answers_of(
    teacher: PreTrainedModel,
    template: RowTemplate,
    prompts: Sequence[Sequence[int]],
    max_target_tokens: int,
    batch_size: int,
    on_rows_done: Progress = lambda count: None,
) -> list[list[int]]:
    """The teacher's greedy answers to prompts, as ids without the one that ends them.

    An answer is [] where the prompt leaves too few positions: samples of free format can be that
    long."""
    room = (num_positions(teacher) or math.inf) - max_target_tokens
    fitting = [i for i, ids in enumerate(prompts) if len(ids) <= room]
    asked = [prompts[i] for i in fitting]
    completions = answer_greedily(
        teacher, template, asked, max_target_tokens + 1, batch_size, on_rows_done
    )
    answers: list[list[int]] = [[] for _ in prompts]
    for i, completion in zip(fitting, completions, strict=True):
        answers[i] = [token for token in completion.ids if token != template.end]
    return answers


@torch.no_grad()
def input_likelihoods(
    model: PreTrainedModel, prompt: Sequence[int], inputs: Sequence[Sequence[int]], pad: int
) -> list[float]:
    """-log p(input | prompt) of each input (ids), in nats."""
    likelihoods: list[float] = []
    for start in range(0, len(inputs), SCORED_AT_ONCE):
        rows = [
            torch.tensor([*prompt, *ids], device=model.device)
            for ids in inputs[start : start + SCORED_AT_ONCE]
        ]
        ids = pad_sequence(rows, batch_first=True, padding_value=pad)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        logits = model(input_ids=ids, attention_mask=mask).logits[:, len(prompt) - 1 : -1].float()
        told, counted = ids[:, len(prompt) :], mask[:, len(prompt) :]
        log_probs = logits.gather(2, told[..., None])[..., 0] - logits.logsumexp(dim=-1)
        likelihoods += (-(log_probs * counted).sum(dim=1)).tolist()
    return likelihoods


class AskedTeacher:
    """A checkpoint that answers samples and scores texts. It is loaded at the first call."""

    def __init__(
        self,
        checkpoint: Path,
        systems: Mapping[str, str],
        text: TextParams,
        batch_size: int,
        on_rows_done: Progress,
    ) -> None:
        """`systems`: the system message of each task that the teacher has learnt, in their order;
        "" without one."""
        self._checkpoint, self._systems, self._text = checkpoint, systems, text
        self._batch_size, self._on_rows_done = batch_size, on_rows_done
        self._known: dict[tuple[int, ...], str] = {}

    def answers(self, samples: Sequence[PseudoSample]) -> list[str]:
        """The teacher's greedy answer to each sample's input, as text. Each prompt is answered
        once."""
        model, codec = self._loaded
        template = codec.template(TaskPrompts(systems=self._systems))
        prompts = [
            template.answer_prompt(one.input_ids, one.source_task, in_pairs(one.history_ids))
            for one in samples
        ]
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._known]
        self._on_rows_done(len(prompts) - len(new))
        limits = self._text.max_target_tokens, self._batch_size
        answers = answers_of(model, template, new, *limits, self._on_rows_done)
        self._known |= zip(new, map(codec.decode_target, answers), strict=True)
        return [self._known[prompt] for prompt in prompts]

    def score(self, task_index: int, texts: Sequence[str], target: str = "") -> list[float]:
        """-log p(text | draw prompt of task t) of each text, in nats. `task_index`: the index of t
        in the order of learning. `target`: the label that the prompt names."""
        model, codec = self._loaded
        tasks = list(self._systems)
        specific = self._text.use_task_specific_gen_token
        template = codec.template(TaskPrompts(tasks, specific, tasks if target else ()))
        (y,) = codec.encode_targets([target])
        prompt = template.draw_prompt(tasks[task_index], y)
        return input_likelihoods(model, prompt, codec.encode_inputs(texts), template.pad)

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, TextCodec]:
        model = load_model(self._checkpoint, PartialState().device)
        return model, load_codec(self._checkpoint)
