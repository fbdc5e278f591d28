"""A tiny student, its teacher and a few rows; a training of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from accelerate import Accelerator
from transformers import PreTrainedModel

from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.methods.memory import Memory
from lamol_core.methods.spec import Method
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.hidden_states import as_body
from lamol_core.training.params import TrainParams
from lamol_core.training.teacher.online import OnlineTeacher
from lamol_core.training.trainer import LogRow, Trainer
from tests.fakes import GROUPED_ARCHITECTURES, OTHER_ARCHITECTURES, make_rows, sharpen

ROWS = make_rows(7, 4)
ONE_STEP = {"steps": 1, "batch_size": 32, "warmup_fraction": 0.0}
KD = LamolKd(LamolKdParams())


def pair(architecture: str = "llama") -> tuple[PreTrainedModel, PreTrainedModel]:
    """A student and a teacher of other weights."""
    build = (GROUPED_ARCHITECTURES | OTHER_ARCHITECTURES)[architecture]
    return sharpen(build(), 0, 0.2), sharpen(build(), 1, 0.2)


def train(
    accelerator: Accelerator,
    student: PreTrainedModel,
    teacher: PreTrainedModel | None,
    rows: Sequence[EncodedRow] = ROWS,
    method: Method = KD,
    seed: int = 0,
    on_step: Callable[[LogRow, int], None] = lambda row, num_steps: None,
    memory: Memory | None = None,
    **params: object,
) -> list[LogRow]:
    checked = TrainParams.model_validate({**ONE_STEP, **params})
    with ExitStack() as stack:
        taught = stack.enter_context(as_body(teacher)) if teacher is not None else None
        body = stack.enter_context(as_body(student))
        asked = OnlineTeacher(taught) if taught is not None else None
        kept = memory or Memory()
        trainer = Trainer(accelerator, body, asked, method.loss, checked, kept)
        return trainer.train(rows, seed, on_step)


def weights(model: PreTrainedModel) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters())
