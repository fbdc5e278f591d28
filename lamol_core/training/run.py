"""From a teacher's checkpoint and a mix to a trained student."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator, PartialState
from transformers import PreTrainedModel

from lamol_core.config import TrainParams
from lamol_core.errors import ConfigError
from lamol_core.methods.base import Method
from lamol_core.models.checkpoints import load_model, require_positions, save_checkpoint
from lamol_core.models.precision import (
    resolve_attention,
    resolve_compile,
    resolve_precision,
    weights_attention,
)
from lamol_core.records import Example, MixRow, PseudoSample
from lamol_core.seeds import derive_seed
from lamol_core.storage.manifest import Provenance
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.batches import EncodedRow, cut_rows
from lamol_core.training.body import as_body
from lamol_core.training.loop import LogRow, Trainer, count_steps
from lamol_core.training.rows import encode_mix
from lamol_core.training.teaching import Lesson, teaching

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSet:
    """A mix with the rows it refers to; `lineage` names the tasks in learning order, this last.

    `task_specific_token`: the GEN view begins with GEN_t, else with the shared GEN.
    """

    mix: Sequence[MixRow]
    real: Sequence[Example]
    pseudo: Sequence[PseudoSample]
    lineage: tuple[str, ...]
    task_specific_token: bool = True


@dataclass(frozen=True)
class TrainedStudent:
    """The student in the precision it was computed in, its log, and how many inputs were cut."""

    model: PreTrainedModel
    log_rows: list[LogRow]
    num_cut: int
    is_main_process: bool

    def save(self, out: Path, tokenizer_from: Path, provenance: Provenance) -> None:
        """Write the checkpoint (from the main process alone)."""
        if self.is_main_process:
            save_checkpoint(out, self.model, provenance, tokenizer_from=tokenizer_from)


def train_from_checkpoint(
    teacher: Path,
    training_set: TrainingSet,
    method: Method,
    params: TrainParams,
    seed: int,
    on_step: Callable[[LogRow, int], None] = lambda row, num_steps: None,
    *,
    states_folder: Path,
    say: Callable[[str], None] = log.info,
) -> TrainedStudent:
    """Start the student from the teacher's weights and train it on the mix.

    With bf16, weights and arithmetic are bf16 over fp32 masters, and the student is handed on in
    bf16, which is how it is evaluated and how it teaches. What an offline teacher says lies in
    `states_folder` until the student is trained; `say` is told how much that is.
    """
    dtype = resolve_precision(params.precision, PartialState().device)
    accelerator = Accelerator(mixed_precision="no")
    attention = resolve_attention(params.attention, accelerator.device)
    codec = TextCodec.load(teacher)
    encoded = encode_mix(
        training_set.mix,
        training_set.real,
        training_set.pseudo,
        codec,
        training_set.lineage,
        training_set.task_specific_token,
    )
    rows, num_cut = cut_rows(encoded, params.max_length)

    def load() -> PreTrainedModel:
        return load_model(teacher, accelerator.device, dtype, weights_attention(attention))

    lesson = Lesson(method.loss, codec.control, [row for row in rows if row.origin == "pseudo"])
    with ExitStack() as stack:
        # the teacher computes as the student does: at the first step they differ by float order
        taught = stack.enter_context(
            teaching(load, lesson, params, attention, teacher, states_folder, say)
        )
        student = load()
        longest = max((len(row.input_ids) + len(row.target_ids) + 3 for row in rows), default=0)
        require_positions(student, longest, "train.max_length")
        if params.gradient_checkpointing:
            checkpoint_activations(student)
        compiled = resolve_compile(
            params.compile, training_flops(student, rows, lesson, params), accelerator.device
        )
        body = stack.enter_context(as_body(student, attention, compiled))
        trainer = Trainer(accelerator, body, taught, lesson.loss, codec.control, params)
        trained = trainer.train(rows, derive_seed(seed, "train", training_set.lineage[-1]), on_step)
    return TrainedStudent(student, trained.log_rows, num_cut, accelerator.is_main_process)


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Keep the blocks' inputs alone and compute the rest again in the backward: memory for time.

    Raises ConfigError for a model that cannot.
    """
    try:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    except ValueError as error:
        raise ConfigError(
            f"params.yaml: train.gradient_checkpointing: {type(model).__name__} does not support "
            "it. Set it to false, and lower train.micro_batch_tokens where memory is short."
        ) from error


def training_flops(
    model: PreTrainedModel, rows: Sequence[EncodedRow], lesson: Lesson, params: TrainParams
) -> float:
    """6 N D: forward and backward of all parameters, for every token of every step."""
    tokens = sum(
        len(view.ids) for row in rows for view in row.views(lesson.loss.views, lesson.control)
    )
    epochs = count_steps(len(rows), params) * params.batch_size / max(len(rows), 1)
    return 6.0 * model.num_parameters() * tokens * epochs
