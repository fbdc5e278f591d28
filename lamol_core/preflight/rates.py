"""How fast this machine computes a sequence's tokens, from a few steps with its backbone."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.artifacts.manifest import Provenance
from lamol_core.artifacts.store import bytes_below
from lamol_core.data.mixing import mix_rows
from lamol_core.evaluation.predict import predict
from lamol_core.generation.drawing import PseudoSampler
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request
from lamol_core.models.checkpoints import load_model
from lamol_core.parameters import Params
from lamol_core.records import Example, PseudoSample
from lamol_core.text.params import TextParams
from lamol_core.text.template import NUM_CONTROL
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.student import Checkpoints, TrainingSet, train_from_checkpoint

TRIED_STEPS = 8  # the first is not counted: memory is being taken, caches are cold
BEFORE = "before"  # the name of a task that pseudo-samples are drawn for


@dataclass(frozen=True)
class Rates:
    """Seconds of a token that is trained, drawn or answered; of a training beside its steps
    (loading, the first step, what the method does at its end). Bytes of checkpoints, and of what
    the method keeps after the tried steps."""

    trained_s: float
    drawn_s: float
    answered_s: float
    training_s: float
    backbone_bytes: int
    student_bytes: int
    state_bytes: int


def measure_rates(backbone: Path, params: Params, rows: Sequence[Example], length: float) -> Rates:
    """Answer and draw a batch, and train some steps of a task's training rows, which have `length`
    tokens on average; keeps nothing."""
    model, codec = load_model(backbone, PartialState().device), TextCodec.load(backbone)
    answered_s = _try_answering(model, codec, params, rows)
    drawn: list[PseudoSample] = []
    drawn_s = 0.0
    if params.chosen.rehearses:
        drawn, drawn_s = _try_drawing(model, codec, params, length)
    del model
    with tempfile.TemporaryDirectory(prefix="lamol-") as folder:
        state = Path(folder) / "state"
        trained_s, training_s, student_bytes = _try_training(backbone, params, rows, drawn, state)
        sizes = bytes_below(backbone), student_bytes, bytes_below(state)
    return Rates(trained_s, drawn_s, answered_s, training_s, *sizes)


def _try_answering(
    model: PreTrainedModel, codec: TextCodec, params: Params, rows: Sequence[Example]
) -> float:
    """Seconds of a token of a batch of inputs and their answers."""
    asked = rows[: params.evaluate.batch_size]
    inputs = [row.input for row in asked]
    target_length = fmean(map(len, codec.encode([row.target for row in asked])))
    # a model without training answers until a limit
    evaluate = params.evaluate.model_copy(update={"max_target_tokens": round(target_length) + 1})
    started = time.perf_counter()
    predict(model, codec, inputs, evaluate, params.text.max_length)
    seconds = time.perf_counter() - started
    input_length = fmean(min(len(ids), params.text.max_length) for ids in codec.encode(inputs))
    return seconds / (len(asked) * (input_length + target_length + NUM_CONTROL["qa"]))


def _try_drawing(
    model: PreTrainedModel, codec: TextCodec, params: Params, length: float
) -> tuple[list[PseudoSample], float]:
    """A batch of pseudo-samples, and the seconds of a token of them."""
    # a model without training writes until a limit
    num = min(round(length), params.text.max_input_tokens)
    limits = TextParams(max_input_tokens=max(num, 1), max_target_tokens=1)
    topk, batch_size = params.generate.topk, params.generate.batch_size
    once = GenerateParams(topk=topk, batch_size=batch_size, refill=False)
    started = time.perf_counter()
    sampler = PseudoSampler(
        model, codec, once, limits, new_task="", seed=params.seed, teacher_sha256=""
    )
    drawn = sampler.draw([Request(BEFORE, codec.control.gen_for(0, False), batch_size)])
    seconds = time.perf_counter() - started
    lengths = (len(row.input_ids) + len(row.target_ids) + NUM_CONTROL["gen"] for row in drawn)
    return drawn, seconds / sum(lengths)


def _try_training(
    backbone: Path,
    params: Params,
    rows: Sequence[Example],
    drawn: Sequence[PseudoSample],
    state: Path,
) -> tuple[float, float, int]:
    """Some steps as of a second task: seconds of a token, those beside the steps, the student's
    bytes. What the method keeps is written to `state`."""
    new = rows[: TRIED_STEPS * params.train.batch_size]
    pseudo = drawn[: max(round(params.generate.gamma * len(new)), 1)]
    mix = mix_rows(new, pseudo, new[0].task, params.seed)
    lineage = (BEFORE, new[0].task)
    started = time.perf_counter()
    student = train_from_checkpoint(
        Checkpoints(backbone, states=state.with_name("teacher"), backbone=backbone),
        TrainingSet(mix, new, pseudo, lineage, False, params.text.max_length),
        params.chosen,
        params.train.model_copy(update={"steps": TRIED_STEPS}),
        params.seed,
    )
    seconds = time.perf_counter() - started
    student.save_state(state, Provenance())
    steps_s = sum(row["seconds"] for row in student.log_rows[1:])
    trained_s = steps_s / sum(row["tokens"] for row in student.log_rows[1:])
    student_bytes = sum(p.numel() * p.element_size() for p in student.model.parameters())
    return trained_s, seconds - steps_s, student_bytes
