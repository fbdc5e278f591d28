"""Which pseudo-samples are wanted, how long they can be, and which are still to be drawn."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lamol_core.generation.params import GenerateParams
from lamol_core.generation.quotas import share_evenly
from lamol_core.records import PseudoSample
from lamol_core.seeds import derive_seed
from lamol_core.text.normalise import normalise
from lamol_core.text.params import TextParams
from lamol_core.text.template import RowTemplate
from lamol_core.text.tokenizer import TextCodec


@dataclass(frozen=True)
class Request:
    """A request for `count` rows of an earlier task."""

    source_task: str
    count: int
    targets: tuple[tuple[int, ...], ...] = ()
    """The ids of each wanted row's label, which its prompt names; empty where the teacher writes
    the targets too."""
    num_answers: tuple[int, ...] = ()
    """How many answers each wanted row has; empty where all have one."""

    def target_of(self, index: int) -> tuple[int, ...]:
        """The ids of the label that a draw is prompted with; () where it is not."""
        return self.targets[index] if self.targets else ()

    def num_answers_of(self, index: int) -> int:
        """How many answers a draw is to have."""
        return self.num_answers[index] if self.num_answers else 1


Draw = tuple[Request, int]
"""One draw: its request, and its index among the draws of this request."""


def draws_of_attempt(
    requests: Sequence[Request],
    samples: Sequence[PseudoSample],
    attempt: int,
    params: GenerateParams,
) -> list[Draw]:
    """The draws of an attempt (from 1); [] where nothing is left to draw. The first attempt makes
    all draws, later ones repeat rejected draws. `samples`: the results of all earlier attempts."""
    if attempt > (params.max_attempts if params.refill else 1):
        return []
    valid = {(s.source_task, s.gen_index) for s in samples if s.valid}
    every = [(request, index) for request in requests for index in range(request.count)]
    return [draw for draw in every if (draw[0].source_task, draw[1]) not in valid]


def draw_targets(
    codec: TextCodec,
    labels: Sequence[str],
    count: int,
    existing: Counter[str],
    key: tuple[Any, ...],
) -> tuple[tuple[int, ...], ...]:
    """The ids of the labels that `count` rows are to have: equal numbers of each, `existing` rows
    included. `key` decides which labels come first where there are fewer rows than labels."""
    ids = {normalise(codec.decode_target(ids)): tuple(ids) for ids in codec.encode_targets(labels)}
    order = sorted(ids, key=lambda label: derive_seed(*key, label))
    shares = share_evenly(order, count, existing)
    return tuple(ids[label] for label, share in shares.items() for _ in range(share))


def longest_sample(template: RowTemplate, text: TextParams, num_answers: int) -> int:
    """The most ids that a drawn sample with so many answers can have."""
    a_turn = text.max_sample_tokens + len(template.header)
    return num_answers * a_turn + (num_answers - 1) * len(template.between)


def longest_draw(
    template: RowTemplate,
    text: TextParams,
    task: str,
    y: tuple[int, ...] = (),
    num_answers: int = 1,
) -> int:
    """The most ids of a sample with so many answers, its prompt included."""
    prompt = template.draw_prompt(task, y, num_answers)
    return len(prompt) + longest_sample(template, text, num_answers)


def most_answers(
    template: RowTemplate, text: TextParams, task: str, num_answers: int, limit: float
) -> int:
    """How many of `num_answers` answers a sample of a task can have, so that it and its prompt have
    at most `limit` ids."""
    while num_answers > 1 and longest_draw(template, text, task, (), num_answers) > limit:
        num_answers -= 1
    return num_answers
