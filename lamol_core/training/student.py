"""Train a student from a teacher's checkpoint and a mix."""

import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from transformers import PreTrainedModel

from lamol_core.artifacts.layout import OF_EXPERT
from lamol_core.artifacts.manifest import MANIFEST, read_manifest
from lamol_core.artifacts.spec import TRAIN
from lamol_core.artifacts.version import code_version
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss
from lamol_core.models.params import AdapterParams
from lamol_core.records import MixRow
from lamol_core.seeds import derive_seed
from lamol_core.text.codecs import load_codec
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.encoding import TrainingSet
from lamol_core.training.params import TrainParams
from lamol_core.training.resume import LogRow, Resume
from lamol_core.training.setup import TrainingSetup
from lamol_core.training.teacher.choice import open_teacher
from lamol_core.training.trainer import count_steps

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedStudent:
    """A trained student (in the dtype it was trained in), its method's memory, and its log.

    `num_rows`: the rows of the mix. `num_cut`: how many of them lost their beginning.
    `num_answers`: the new task's rows, after this cut, by their number of answers. `resumes`: the
    saved states that the training could have gone on from; they exist until they are removed, when
    all outputs are written."""

    model: PreTrainedModel
    memory: Memory
    log_rows: list[LogRow]
    num_rows: int
    num_cut: int
    num_answers: dict[int, int]
    is_main_process: bool
    resumes: tuple[Resume, ...] = ()

    @property
    def seconds_before(self) -> float:
        """The seconds that interrupted trainings spent on the steps that were loaded from them."""
        return sum(resume.seconds_before for resume in self.resumes)


@dataclass(frozen=True)
class Checkpoints:
    """The folders of checkpoints that a training reads, and of the files it keeps until it has
    ended.

    `states`: an offline teacher's hidden states. `state`: what the method kept after earlier tasks;
    None for nothing. `backbone`: the first weights of an expert. `resume`: the saved states of
    interrupted trainings; with None an interrupted training starts again."""

    teacher: Path
    states: Path
    state: Path | None = None
    backbone: Path | None = None
    resume: Path | None = None

    @property
    def expert_resume(self) -> Path | None:
        """The folder of interrupted trainings of the method's expert; None if `resume` is None."""
        return self.resume and self.resume.with_name(f"{self.resume.name}{OF_EXPERT}")


def init_accelerate() -> None:
    """Create the first PartialState, which all later ones copy; an environment variable says
    whether processes run on CPUs. Call this before anything else of Accelerate."""
    PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def train_from_checkpoint(
    checkpoints: Checkpoints,
    training_set: TrainingSet,
    method: Method[Any],
    params: TrainParams,
    seed: int,
    on_step: Callable[[LogRow, int], None] = lambda row, num_steps: None,
    adapter: AdapterParams = AdapterParams(),
) -> TrainedStudent:
    """Load the teacher's weights into a student and train it on the mix; returns the trained
    student. With an adapter, only that is trained.

    With bf16, weights and arithmetic are bf16 over fp32 masters, and the student is returned in
    bf16. `on_step` gets every row of the log, an expert's too, and the number of steps.
    """
    codec = load_codec(checkpoints.teacher)
    template = training_set.template(codec)
    rows, num_cut = training_set.encode(codec)
    seed_of_task = derive_seed(seed, "train", training_set.task)
    reserved = codec.reserved if adapter.is_used else ()
    setup = TrainingSetup(params, adapter, rows, reserved, seed_of_task, on_step)
    memory = method.memory(MemoryContext(seed, template, codec))
    if checkpoints.state is not None and len(training_set.prompts.tasks) > 1:
        memory.read(checkpoints.state)

    inputs = _inputs_of(checkpoints, rows, method, setup, seed) | adapter.made_of()
    resume = setup.resume_at(checkpoints.resume, inputs)
    expert_resume = setup.resume_at(checkpoints.expert_resume, inputs, keeps_end=True)
    if method.expert_loss is None and checkpoints.expert_resume is not None:
        # left by an interrupted training of another method
        shutil.rmtree(checkpoints.expert_resume, ignore_errors=True)
    origins = {origin for term in method.loss.of_kind("kl") for origin in term.origins}
    distilled = [row for row in rows if row.origin in origins]

    @cache
    def student_model() -> PreTrainedModel:
        return setup.load_student(checkpoints.teacher)

    def teacher_model() -> PreTrainedModel | None:
        if not distilled:
            return None
        if method.expert_loss is None:
            return setup.load_teacher(checkpoints.teacher, student_model)
        assert checkpoints.backbone is not None, "an expert starts from the backbone"
        return _expert(setup, checkpoints.backbone, rows, method.expert_loss, expert_resume)

    # no variable refers to the model: offline it is freed before the student is loaded
    with open_teacher(
        teacher_model(), distilled, method.loss, setup, checkpoints.states, inputs
    ) as teacher:
        student = student_model()
        setup.share_head(teacher, student)
        log_rows = setup.fit(student, rows, method.loss, teacher, memory, resume)
    resumes = tuple(one for one in (expert_resume, resume) if one is not None)
    is_main = setup.accelerator.is_main_process
    answers = Counter(1 + len(row.history) for row in rows if row.task == training_set.task)
    return TrainedStudent(
        student, memory, log_rows, len(rows), num_cut, dict(answers), is_main, resumes
    )


def _expert(
    setup: TrainingSetup, backbone: Path, rows: list[EncodedRow], loss: Loss, resume: Resume | None
) -> PreTrainedModel:
    """Train an expert on the new rows alone, which is the teacher of a method with an expert's loss
    (L2KD). `resume` keeps its last step, so that an interrupted training of the student need not
    train the expert again."""
    sentence = "an expert is trained on the new task first, then the student"
    log.info(sentence, extra={"first_met": 1})
    expert = setup.load_student(backbone)
    new = [row for row in rows if row.origin == "new"]
    setup.fit(expert, new, loss, None, Memory(), resume)
    expert.eval()
    return expert


def _inputs_of(
    read: Checkpoints, rows: list[EncodedRow], method: Method[Any], setup: TrainingSetup, seed: int
) -> dict[str, Any]:
    """Everything that decides the result of a training, as plain data. A saved state is used only
    by a training with equal inputs."""
    has_pseudo_rows = any(row.origin == "pseudo" for row in rows)
    expert_from = None if method.expert_loss is None else read.backbone
    folders = (read.teacher, read.state, expert_from)
    return {
        **computed_by(setup.dtype),
        "folders": [read_manifest(f / MANIFEST, "").content_sha256 for f in folders if f],
        "rows": hashlib.sha256(repr(rows).encode()).hexdigest(),
        "loss": repr(method.loss),
        "method": [type(method).__name__, method.effective_params(has_pseudo_rows)],
        "expert": repr(method.expert_loss),
        "train": setup.params.model_dump(),
        "seed": seed,
        "processes": setup.accelerator.num_processes,
    }


def computed_by(dtype: torch.dtype) -> dict[str, str | int]:
    """What decides the last bits of a result besides the inputs: code, libraries, threads, device
    and dtype. A training does not go on from states that were computed otherwise."""
    return {
        "code": code_version(TRAIN.packages),
        **{name: version(name) for name in ("torch", "transformers", "peft")},
        "threads": torch.get_num_threads(),
        "device": PartialState().device.type,
        "dtype": str(dtype),
    }


def count_all_steps(mix: Sequence[MixRow], method: Method[Any], params: TrainParams) -> int:
    """The number of the student's steps, plus the expert's steps where the method has an expert."""
    steps = count_steps(len(mix), params)
    if method.expert_loss is None:
        return steps
    return steps + count_steps(sum(row.origin == "new" for row in mix), params)
