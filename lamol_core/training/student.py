"""From a teacher's checkpoint and a mix to a trained student."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from transformers import PreTrainedModel

from lamol_core.artifacts.layout import OF_EXPERT
from lamol_core.artifacts.manifest import MANIFEST, Provenance, read_manifest
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.spec import Method
from lamol_core.models.checkpoints import save_checkpoint, write_state
from lamol_core.records import Example, MixRow, PseudoSample
from lamol_core.seeds import derive_seed
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.batches import cut_rows
from lamol_core.training.determinism import computed_by
from lamol_core.training.encoding import encode_mix
from lamol_core.training.params import TrainParams
from lamol_core.training.resume import Resume
from lamol_core.training.setup import Fitting
from lamol_core.training.teacher.session import TeacherSource, digest_of, teaching
from lamol_core.training.trainer import LogRow, count_steps

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
    max_length: int = 256
    """Tokens of a row; inputs are cut for it."""

    @property
    def has_pseudo_rows(self) -> bool:
        return any(row.origin == "pseudo" for row in self.mix)

    def encode(self, codec: TextCodec) -> tuple[list[EncodedRow], int]:
        """Its rows as token ids, and how many inputs were cut."""
        encoded = encode_mix(
            self.mix, self.real, self.pseudo, codec, self.lineage, self.task_specific_token
        )
        return cut_rows(encoded, self.max_length)


@dataclass(frozen=True)
class TrainedStudent:
    """The student in the precision it was computed in, what its method keeps, its log, and how many
    inputs were cut. What a resumed training would go on from is there until it is discarded."""

    model: PreTrainedModel
    memory: Memory
    log_rows: list[LogRow]
    num_cut: int
    is_main_process: bool
    resumes: tuple[Resume, ...] = ()

    @property
    def seconds_before(self) -> float:
        """Of the steps that this training was spared, since one that was cut off had done them."""
        return sum(resume.seconds_before for resume in self.resumes)

    def save(self, out: Path, tokenizer_from: Path, provenance: Provenance) -> None:
        """Write the checkpoint, from the main process."""
        save_checkpoint(out, self.model, provenance, tokenizer_from=tokenizer_from)

    def save_state(self, out: Path, provenance: Provenance) -> None:
        """Write what the method keeps until the next task, from the main process."""
        write_state(out, provenance, self.memory.write)

    def discard_resumes(self) -> None:
        """Once all is written: remove what a training that was cut off would go on from."""
        for resume in self.resumes:
            resume.remove()


@dataclass(frozen=True)
class Checkpoints:
    """What a training reads, and where it leaves what it needs again if it is cut off."""

    teacher: Path
    states: Path
    """What an offline teacher says lies here until the student is trained."""
    state: Path | None = None
    """What the method has kept of the tasks before; None: nothing."""
    backbone: Path | None = None
    """What a method's expert starts from."""
    resume: Path | None = None
    """Where a training that is cut off leaves what it needs to go on; None: it does not."""

    @property
    def expert_resume(self) -> Path | None:
        """The same of a method's expert."""
        return self.resume and self.resume.with_name(f"{self.resume.name}{OF_EXPERT}")


def begin_processes() -> None:
    """Let Accelerate know of the processes, before anything else asks it: the first PartialState
    decides for all, and would not ask by itself whether they are on CPUs."""
    PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def train_from_checkpoint(
    checkpoints: Checkpoints,
    training_set: TrainingSet,
    method: Method,
    params: TrainParams,
    seed: int,
    on_step: Callable[[LogRow, int], None] = lambda row, num_steps: None,
    say: Callable[[str], None] = log.info,
) -> TrainedStudent:
    """Start the student from the teacher's weights and train it on the mix.

    With bf16, weights and arithmetic are bf16 over fp32 masters, and the student is handed on in
    bf16, which is how it is evaluated and how it teaches. `say` is told what else takes time or
    room: an expert, an offline teacher's states. `on_step` is told of the expert's steps too.
    """
    codec = TextCodec.load(checkpoints.teacher)
    rows, num_cut = training_set.encode(codec)
    seed_of_task = derive_seed(seed, "train", training_set.lineage[-1])
    fitting = Fitting(codec.control, params, rows, seed_of_task, on_step, say)
    memory = method.memory(MemoryContext(seed, codec.decode))
    if checkpoints.state is not None and len(training_set.lineage) > 1:
        memory.read(checkpoints.state)

    acting = method.acting(training_set.has_pseudo_rows)
    inputs = inputs_of(checkpoints, rows, method, acting, fitting, seed)
    resume, resume_expert = _resume_at(checkpoints.resume, inputs, fitting), None
    source = TeacherSource(checkpoints.teacher, partial(fitting.load, checkpoints.teacher))
    if method.expert_loss is not None:
        backbone = checkpoints.backbone
        assert backbone is not None, "an expert starts from the backbone"
        resume_expert = _resume_at(checkpoints.expert_resume, inputs, fitting, keeps_end=True)
        load = partial(fitting.train_expert, backbone, rows, method.expert_loss, resume_expert)
        source = TeacherSource(backbone, load, repr((method.expert_loss, params, seed)))
    elif checkpoints.expert_resume is not None:
        # of another method's training that was cut off
        shutil.rmtree(checkpoints.expert_resume, ignore_errors=True)
    # the teacher computes as the student does: at the first step they differ by float order
    with teaching(source, fitting, method.loss, rows, checkpoints.states) as taught:
        student = fitting.load(checkpoints.teacher)
        log_rows = fitting.fit(student, rows, method.loss, taught, memory, resume)
    resumes = tuple(one for one in (resume_expert, resume) if one is not None)
    is_main = fitting.accelerator.is_main_process
    return TrainedStudent(student, memory, log_rows, num_cut, is_main, resumes)


def _resume_at(
    folder: Path | None, inputs: dict[str, Any], fitting: Fitting, keeps_end: bool = False
) -> Resume | None:
    """None where each of several processes would need its own random state."""
    if folder is None or fitting.accelerator.num_processes > 1:
        return None
    return Resume(folder, inputs, fitting.say, keeps_end)


def inputs_of(
    checkpoints: Checkpoints,
    rows: Sequence[EncodedRow],
    method: Method,
    acting: Mapping[str, Any],
    fitting: Fitting,
    seed: int,
) -> dict[str, Any]:
    """All that decides what a training ends in: a resumed one must have the same. `acting` are the
    method's parameters that act in it."""
    expert_from = None if method.expert_loss is None else checkpoints.backbone
    folders = (checkpoints.teacher, checkpoints.state, expert_from)
    return {
        **computed_by(fitting.dtype),
        "folders": [read_manifest(f / MANIFEST, "").content_sha256 for f in folders if f],
        "rows": digest_of(rows),
        "loss": repr(method.loss),
        "method": [type(method).__name__, acting],
        "expert": repr(method.expert_loss),
        "train": fitting.params.model_dump(),
        "seed": seed,
        "processes": fitting.accelerator.num_processes,
    }


def count_all_steps(mix: Sequence[MixRow], method: Method, params: TrainParams) -> int:
    """The student's steps, and its expert's where the method has one."""
    steps = count_steps(len(mix), params)
    if method.expert_loss is None:
        return steps
    return steps + count_steps(sum(row.origin == "new" for row in mix), params)
