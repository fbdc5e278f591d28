"""How fast this machine does a sequence's work, from a few steps of it."""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.artifacts.manifest import MANIFEST, Provenance, read_manifest
from lamol_core.artifacts.store import bytes_below
from lamol_core.data.mixing import mix_rows
from lamol_core.evaluation.predict import predict
from lamol_core.generation.drawing import PseudoSampler
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.spec import Cost
from lamol_core.models.checkpoints import load_model
from lamol_core.parameters import Params
from lamol_core.preflight.work import RowTokens, TaskRows
from lamol_core.records import Example, PseudoSample, TaskFacts
from lamol_core.text.params import TextParams
from lamol_core.text.template import NUM_CONTROL, cut_input
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.student import (
    Checkpoints,
    TrainedStudent,
    TrainingSet,
    train_from_checkpoint,
)
from lamol_core.training.trainer import LogRow

TRIED_STEPS = 4
"""The first is not counted: memory is being taken, caches are cold."""
TRIED_ROWS = 256
"""Answered and drawn at the most: a whole batch. Of 96 rows each takes half as long again as of 256
(SmolLM2-135M, one thread: 31 and 46 rows/s)."""
BEFORE = "before"
"""The name of a task that rows are taken for pseudo-samples of."""


@dataclass(frozen=True)
class Rates:
    """Tokens a second by what is done with them, and seconds of what is not counted in tokens."""

    trained_tokens_per_s: float
    drawn_tokens_per_s: float
    answered_tokens_per_s: float
    row_after_s: float
    """Of a row with a backward of its own after the training."""
    backbone_bytes: int
    student_bytes: int
    state_bytes: int
    """What the method keeps of the tasks before, once it keeps all that it may."""


def measure_lengths(
    codec: TextCodec,
    facts: Mapping[str, TaskFacts],
    rows: Mapping[str, Sequence[Example]],
    params: Params,
) -> dict[str, TaskRows]:
    """Each task's facts with the mean tokens of its training rows, cut as training and sampling
    cut them; those of all other tasks' where its own are gone. Raises ConfigError for a target
    that does not fit `text.max_length`."""
    limits = params.text
    real, drawn = {}, {}
    for name, own in rows.items():
        inputs = codec.encode([row.input for row in own])
        targets = codec.encode([row.target for row in own])
        pairs = list(zip(inputs, targets, strict=True))
        cut = [
            cut_input(x, y, params.text.max_length, row.row_id)
            for row, (x, y) in zip(own, pairs, strict=True)
        ]
        real[name] = RowTokens(
            fmean(len(x) for x, _ in cut),
            fmean(map(len, targets)),
            fmean(was_cut for _, was_cut in cut),
        )
        longest = limits.max_input_tokens, limits.max_target_tokens
        drawn[name] = RowTokens(
            fmean(min(len(x), longest[0]) for x in inputs),
            fmean(min(len(y), longest[1]) for y in targets),
            fmean(len(x) > longest[0] or len(y) > longest[1] for x, y in pairs),
        )

    def mean(known: Mapping[str, RowTokens]) -> RowTokens:
        return RowTokens(
            fmean(row.input for row in known.values()), fmean(row.target for row in known.values())
        )

    return {
        name: TaskRows(facts[name], real.get(name, mean(real)), drawn.get(name, mean(drawn)))
        for name in facts
    }


def measure_rates(
    backbone: Path, params: Params, rows: Sequence[Example], lengths: TaskRows
) -> Rates:
    """Train some steps, draw and answer some rows, with the backbone; nothing of it is kept.

    `rows` are a task's training rows, as long as `lengths` says on average."""
    trial = _try_training(backbone, params, rows)
    model = load_model(backbone, PartialState().device)
    codec = TextCodec.load(backbone)
    return Rates(
        trial.tokens_per_s,
        _draw_speed(model, codec, params, lengths.drawn),
        _answer_speed(model, codec, params, rows, lengths.real),
        trial.row_after_s,
        bytes_below(backbone),
        trial.student_bytes,
        trial.state_bytes,
    )


def _answer_speed(
    model: PreTrainedModel,
    codec: TextCodec,
    params: Params,
    rows: Sequence[Example],
    row: RowTokens,
) -> float:
    """Tokens a second of a batch of inputs and their answers."""
    inputs = [one.input for one in rows[: min(TRIED_ROWS, params.evaluate.batch_size)]]
    longest = round(row.target) + 1
    evaluate = params.evaluate.model_copy(update={"max_target_tokens": longest})
    started = time.perf_counter()
    predict(model, codec, inputs, evaluate, params.text.max_length)
    return len(inputs) * (row.total + NUM_CONTROL["qa"]) / (time.perf_counter() - started)


def _draw_speed(model: PreTrainedModel, codec: TextCodec, params: Params, row: RowTokens) -> float:
    """Tokens a second of a batch of pseudo-samples; infinite for a method that draws none."""
    if not params.chosen.rehearses:
        return math.inf
    # a model without training writes until a limit: set to the rows' mean, rows get that long
    limits = TextParams(
        max_input_tokens=max(round(row.input), 1), max_target_tokens=max(round(row.target), 1)
    )
    once = GenerateParams(
        topk=params.generate.topk, batch_size=params.generate.batch_size, refill=False
    )
    started = time.perf_counter()
    sampler = PseudoSampler(
        model, codec, once, limits, new_task=BEFORE, seed=params.seed, teacher_sha256=""
    )
    count = min(TRIED_ROWS, params.generate.batch_size)
    drawn = sampler.draw([Request(BEFORE, codec.control.gen_for(0, True), count)])
    tokens = sum(len(s.input_ids) + len(s.target_ids) + NUM_CONTROL["gen"] for s in drawn)
    return tokens / (time.perf_counter() - started)


@dataclass(frozen=True)
class _Trial:
    tokens_per_s: float
    row_after_s: float
    student_bytes: int
    state_bytes: int


def _try_training(backbone: Path, params: Params, rows: Sequence[Example]) -> _Trial:
    """A few steps as the second task of a sequence takes them, with what the first has left."""
    batch_size = params.train.batch_size
    new = list(rows[: TRIED_STEPS * batch_size])
    codec = TextCodec.load(backbone)
    pseudo: list[PseudoSample] = []
    if params.chosen.rehearses:
        count = max(round(min(params.generate.gamma, 1.0) * len(new)), 1)
        pseudo = [_as_pseudo(row, codec) for row in new[:count]]
    mix = mix_rows(new, pseudo, new[0].task, params.seed)
    method = params.chosen
    cost = method.cost(len(new))
    log: list[LogRow] = []
    ended = 0.0

    def on_step(row: LogRow, num_steps: int) -> None:
        nonlocal ended
        log.append(row)
        ended = time.perf_counter()

    with tempfile.TemporaryDirectory(prefix="lamol-") as folder:
        checkpoints = Checkpoints(backbone, states=Path(folder) / "teacher", backbone=backbone)

        def train(steps: int, state: Path | None) -> TrainedStudent:
            log.clear()
            return train_from_checkpoint(
                replace(checkpoints, state=state),
                TrainingSet(mix, new, pseudo, (BEFORE, new[0].task), False, params.text.max_length),
                method,
                params.train.model_copy(update={"steps": steps}),
                params.seed,
                on_step,
            )

        kept = None
        if type(method.memory(MemoryContext(params.seed, codec.decode))) is not Memory:
            kept = Path(folder) / "state"
            train(1, None).save_state(kept, Provenance())
        student = train(TRIED_STEPS, kept)
        seconds_after = time.perf_counter() - ended
        student.save_state(Path(folder) / "after", Provenance())
        state_bytes = _when_full(Path(folder) / "after", cost)
    counted = log[1:]
    seconds = sum(row["seconds"] for row in counted)
    student_bytes = sum(p.numel() * p.element_size() for p in student.model.parameters())
    return _Trial(
        sum(row["tokens"] for row in counted) / seconds,
        seconds_after / max(cost.rows_after_training, 1),
        student_bytes,
        state_bytes,
    )


def _when_full(state: Path, cost: Cost) -> int:
    """Bytes of a state once its memory of rows is full; others are as large from the first task."""
    if cost.memory_slots is None:
        return bytes_below(state)
    filled = read_manifest(state / MANIFEST, "").rows["slots"] / cost.memory_slots
    return round(bytes_below(state) / filled) if filled else 0


def _as_pseudo(row: Example, codec: TextCodec) -> PseudoSample:
    (x,), (y,) = codec.encode([row.input]), codec.encode([row.target])
    return PseudoSample(
        row_id=f"{BEFORE}/{row.row_id}",
        source_task=BEFORE,
        gen_index=0,
        attempt=1,
        input=row.input,
        target=row.target,
        input_ids=x,
        target_ids=y,
        valid=True,
        reject_reason="",
        nll=0.0,
        seed=0,
        teacher_sha256="",
    )
