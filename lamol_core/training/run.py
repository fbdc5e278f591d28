"""From a teacher's checkpoint and a mix to a trained student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator, PartialState
from transformers import PreTrainedModel

from lamol_core.config import TrainParams
from lamol_core.methods.base import Method
from lamol_core.models.checkpoints import load_model, save_checkpoint
from lamol_core.models.precision import resolve_attention, resolve_precision
from lamol_core.records import Example, MixRow, PseudoSample
from lamol_core.seeds import derive_seed
from lamol_core.storage.manifest import Provenance
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.batches import cut_rows
from lamol_core.training.loop import LogRow, Trainer
from lamol_core.training.rows import encode_mix


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
) -> TrainedStudent:
    """Start the student from the teacher's weights and train it on the mix.

    With bf16, weights and arithmetic are bf16 over fp32 masters, and the student is handed on in
    bf16, which is how it is evaluated and how it teaches.
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
    student = load_model(teacher, accelerator.device, dtype, attention)
    taught = method.needs_teacher and any(row.origin == "pseudo" for row in rows)
    # the teacher computes as the student does: at the first step their difference is nil
    frozen = load_model(teacher, accelerator.device, dtype, attention) if taught else None
    trainer = Trainer(accelerator, student, frozen, method, codec.control, params)
    trained = trainer.train(rows, derive_seed(seed, "train", training_set.lineage[-1]), on_step)
    return TrainedStudent(student, trained.log_rows, num_cut, accelerator.is_main_process)
