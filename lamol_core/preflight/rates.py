"""Measures how fast this machine computes a sequence's tokens, by a few steps with its backbone."""

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.artifacts.manifest import write_folder
from lamol_core.artifacts.spec import STATE
from lamol_core.artifacts.store import bytes_below
from lamol_core.data.mixing import mix_rows
from lamol_core.evaluation.predict import predict
from lamol_core.generation.drawing import PseudoSampler
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request
from lamol_core.models.checkpoints import load_model
from lamol_core.models.precision import resolve_precision
from lamol_core.parameters import Params
from lamol_core.preflight.row_tokens import RowTokens
from lamol_core.records import Example, PseudoSample
from lamol_core.text.codecs import load_codec
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.params import TextParams
from lamol_core.text.template import TaskPrompts
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.encoding import TrainingSet
from lamol_core.training.student import Checkpoints, train_from_checkpoint

TRIED_STEPS = 8  # the first is not counted: memory is being allocated, caches are cold
BEFORE = "before"  # the name of a task that pseudo-samples are drawn for


@dataclass(frozen=True)
class Rates:
    """Seconds per token: of answering, of drawing, and of training on a mix. `training_s` are
    the seconds of a training beside its steps (loading, the first step, what the method does at
    its end). `task_bytes` are those of a task's student, and of what the method keeps after the
    tried steps."""

    answered_s: float
    drawn_s: float
    trained_s: float
    training_s: float
    backbone_bytes: int
    task_bytes: int
    num_weights: int


def measure_rates(
    backbone: Path, params: Params, rows: Sequence[Example], prompts: TaskPrompts
) -> Rates:
    """Measure the rates with a task's training rows: answer a batch, draw a batch, and train some
    steps as for a second task. Nothing is kept. `prompts`: what those of the sequence's tasks
    say."""
    codec, method, device = load_codec(backbone), params.chosen, PartialState().device
    # in the precision that students are handed on in
    model = load_model(backbone, device, resolve_precision(params.train.precision, device))
    asked = _encode(codec, rows[: params.evaluate.batch_size], params, prompts)
    answered_s = _try_answering(model, codec, params, rows[: len(asked)], asked, prompts)
    drawn, drawn_s = _try_drawing(model, codec, params, asked) if method.rehearses else ([], 0.0)
    num_weights = model.num_parameters()
    del model
    new = rows[: TRIED_STEPS * params.train.batch_size]
    pseudo = drawn[: max(round(params.generate.gamma * len(new)), 1)]
    mix = mix_rows(new, pseudo, new[0].task, params.seed)
    learnt = replace(prompts, tasks=[BEFORE, new[0].task])
    training_set = TrainingSet(mix, new, pseudo, learnt, params.text.max_length)
    train = params.train.model_copy(update={"steps": TRIED_STEPS})
    with tempfile.TemporaryDirectory(prefix="lamol-") as folder:
        states, state = Path(folder) / "teacher", Path(folder) / "state"
        checkpoints = Checkpoints(backbone, states=states, backbone=backbone)
        started = time.perf_counter()
        student = train_from_checkpoint(
            checkpoints, training_set, method, train, params.seed, adapter=params.adapter
        )
        seconds = time.perf_counter() - started
        write_folder(state, STATE.kind, write=student.memory.write)
        state_bytes = bytes_below(state)
    steps_s = sum(row["seconds"] for row in student.log_rows[1:])
    # only tokens of the mix count, but a step's seconds include rows that a memory recalls
    encoded, _ = training_set.encode(codec)
    template = training_set.template(codec)
    tokens = [RowTokens.of(row, template, method.loss.views) for row in encoded]
    in_batch = len(mix) / math.ceil(len(mix) / train.batch_size)
    return Rates(
        answered_s,
        drawn_s,
        trained_s=steps_s / ((TRIED_STEPS - 1) * in_batch * RowTokens.mean(tokens).trained),
        training_s=seconds - steps_s,
        backbone_bytes=bytes_below(backbone),
        task_bytes=state_bytes
        + sum(one.nbytes for one in student.model.parameters() if one.requires_grad),
        num_weights=num_weights,
    )


def _encode(
    codec: TextCodec, rows: Sequence[Example], params: Params, prompts: TaskPrompts
) -> list[EncodedRow]:
    template, most = codec.template(prompts), params.text.max_length
    encoded = zip(rows, codec.encode_rows(rows), strict=True)
    return [template.fitted_row(r.row_id, "new", r.task, texts, most)[0] for r, texts in encoded]


def _try_answering(
    model: PreTrainedModel,
    codec: TextCodec,
    params: Params,
    rows: Sequence[Example],
    encoded: Sequence[EncodedRow],
    prompts: TaskPrompts,
) -> float:
    """Return the seconds per token of answering a batch, over the tokens of inputs and answers."""
    # a model without training answers until a limit
    longest = round(fmean(len(row.target_ids) for row in encoded)) + 1
    evaluate = params.evaluate.model_copy(update={"max_target_tokens": longest})
    started = time.perf_counter()
    systems = [prompts.systems.get(row.task, "") for row in rows]
    inputs, histories = [row.input for row in rows], [row.history for row in rows]
    most = params.text.max_length
    predict(model, codec, inputs, evaluate, most, systems=systems, histories=histories)
    seconds, template = time.perf_counter() - started, codec.template(prompts)
    return seconds / sum(RowTokens.of(row, template, ()).answered for row in encoded)


def _try_drawing(
    model: PreTrainedModel, codec: TextCodec, params: Params, rows: Sequence[EncodedRow]
) -> tuple[list[PseudoSample], float]:
    """Return a batch of pseudo-samples about as long as `rows`, and the seconds per token of
    drawing it."""
    # a model without training writes until a limit
    num = min(round(fmean(row.num_text for row in rows)), params.text.max_input_tokens)
    limits = TextParams(max_input_tokens=num, max_target_tokens=1)
    topk, batch_size = params.generate.topk, params.generate.batch_size
    once = GenerateParams(topk=topk, batch_size=batch_size, refill=False)
    template = codec.template(TaskPrompts([BEFORE], names_task=False))
    sampler = PseudoSampler(
        model, codec, template, once, limits, new_task="", seed=params.seed, teacher_sha256=""
    )
    started = time.perf_counter()
    drawn = sampler.draw([Request(BEFORE, batch_size)])
    seconds = time.perf_counter() - started
    encoded = (template.row("", "pseudo", BEFORE, one.input_ids, one.target_ids) for one in drawn)
    return drawn, seconds / sum(RowTokens.of(row, template, ()).drawn for row in encoded)
