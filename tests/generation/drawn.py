"""Draws of a tiny teacher with small limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel

from lamol_core.generation.drawing import PseudoSampler
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request
from lamol_core.records import PseudoSample, TaskFacts
from lamol_core.text.params import TextParams
from lamol_core.text.template import TaskPrompts, TokenTemplate
from lamol_core.text.tokenizer import TextCodec

LIMITS = TextParams(max_input_tokens=6, max_target_tokens=3)
SHORT = TextParams(max_input_tokens=2, max_target_tokens=1)


def draw(
    teacher: PreTrainedModel,
    codec: TextCodec,
    counts: tuple[int, ...] = (9,),
    seed: int = 0,
    text: TextParams = LIMITS,
    **changes: Any,
) -> list[PseudoSample]:
    requests = [Request(f"task{i}", count) for i, count in enumerate(counts)]
    return sampler(teacher, codec, text, seed, **changes).draw(requests)


def sampler(
    teacher: PreTrainedModel,
    codec: TextCodec,
    text: TextParams = LIMITS,
    seed: int = 0,
    **changes: Any,
) -> PseudoSampler:
    params = GenerateParams.model_validate({"max_attempts": 50, **changes})
    template = TokenTemplate(codec.control, TaskPrompts([f"task{i}" for i in range(3)]))
    return PseudoSampler(
        teacher, codec, template, params, text, new_task="new", seed=seed, teacher_sha256="abc"
    )


def of_labels(task: str, labels: Sequence[str]) -> TaskFacts:
    return TaskFacts(task, "accuracy", "classes", tuple(labels), {})


def texts(samples: list[PseudoSample]) -> list[tuple]:
    return [(s.row_id, s.input_ids, s.target_ids, s.reject_reason) for s in samples]
