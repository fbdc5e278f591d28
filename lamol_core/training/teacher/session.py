"""A teacher for as long as a student is trained: which kind, what it leaves on disk, its end."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.artifacts.manifest import MANIFEST, Provenance, read_manifest
from lamol_core.artifacts.spec import TEACHER, remedy
from lamol_core.methods.memory import Memory
from lamol_core.methods.terms import Loss
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.template import ControlTokens
from lamol_core.training.determinism import computed_by
from lamol_core.training.hidden_states import as_body
from lamol_core.training.objective import TeacherStates
from lamol_core.training.params import TrainParams
from lamol_core.training.resume import Resume
from lamol_core.training.setup import Fitting
from lamol_core.training.teacher.states import OnlineTeacher, StatesPlan, store_states

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lesson:
    """What a teacher is asked for: the loss, and the rows of its divergences."""

    loss: Loss
    control: ControlTokens
    rows: Sequence[EncodedRow]
    trained: str = ""
    """How the teacher was made of its checkpoint, where it is no copy: an expert is trained."""

    @classmethod
    def of(
        cls, loss: Loss, control: ControlTokens, rows: Sequence[EncodedRow], trained: str = ""
    ) -> Lesson:
        origins = {origin for term in loss.distilled for origin in term.origins}
        return cls(loss, control, [row for row in rows if row.origin in origins], trained)


class TeacherSource(Protocol):
    """Where a teacher comes from, if it is needed."""

    @property
    def checkpoint(self) -> Path:
        """What it is, or what it is trained from."""
        ...

    def load(self) -> PreTrainedModel: ...


@dataclass(frozen=True)
class FrozenTeacher:
    """The student as it was before the task."""

    checkpoint: Path
    fitting: Fitting

    def load(self) -> PreTrainedModel:
        return self.fitting.load(self.checkpoint)


@dataclass(frozen=True)
class ExpertTeacher:
    """An expert of the new task alone, which is trained first."""

    checkpoint: Path
    fitting: Fitting
    loss: Loss
    rows: Sequence[EncodedRow]
    resume: Resume | None
    say: Callable[[str], None]

    def load(self) -> PreTrainedModel:
        expert = self.fitting.load(self.checkpoint)
        self.say("an expert of the new task alone is trained first, then the student")
        self.fitting.fit(expert, self.rows, self.loss, None, Memory(), self.resume)
        return expert.eval()


@contextmanager
def teaching(
    source: TeacherSource,
    lesson: Lesson,
    params: TrainParams,
    attention: str,
    folder: Path,
    say: Callable[[str], None],
) -> Iterator[TeacherStates | None]:
    """The teacher's side of the loss, while the student is trained; None where it has none.

    Online the model stays in memory. Offline it runs once, here; its states are removed when the
    training has ended well, and found again by one that was cut off.
    """
    distilled = lesson.loss.distilled
    if not distilled or not lesson.rows:
        _remove(folder)
        yield None
        return
    with as_body(source.load(), attention) as body:
        if params.teacher_targets == "online" or body.head is None:
            if params.teacher_targets == "offline":
                log.warning("The teacher's head is more than a matrix: it runs online.")
            _remove(folder)
            yield OnlineTeacher(body)
            return
        views, shift = lesson.loss.views, distilled[0].shift
        plan = StatesPlan.of(
            lesson.rows, views, lesson.control, params.micro_batch_tokens, shift, body.head
        )
        say(
            f"the teacher's states of {plan.num_tokens} tokens, {plan.num_bytes / 1e6:.1f} MB, "
            f"are kept in {folder} while the student is trained"
        )
        provenance = _states_provenance(source, lesson, plan, attention, params)
        with PartialState().local_main_process_first():
            stored = store_states(body, plan, folder, provenance)
    del body
    yield stored
    PartialState().wait_for_everyone()
    _remove(folder)


def _states_provenance(
    source: TeacherSource, lesson: Lesson, plan: StatesPlan, attention: str, params: TrainParams
) -> Provenance:
    """All that decides a teacher's states: those of a training that was cut off are found by it."""
    teacher = read_manifest(
        source.checkpoint / MANIFEST, remedy(TEACHER, source.checkpoint.parent.name)
    )
    return Provenance(
        {
            **computed_by(plan.dtype),
            "views": list(lesson.loss.views),
            "shift": plan.shift,
            "attention": attention,
            "micro_batch_tokens": params.micro_batch_tokens,
            "trained": lesson.trained,
        },
        {"teacher": teacher.content_sha256, "rows": digest_of(lesson.rows)},
    )


def _remove(folder: Path) -> None:
    """States of a training that has ended, or that was cut off and now goes another way."""
    if PartialState().is_local_main_process:
        shutil.rmtree(folder, ignore_errors=True)


def digest_of(rows: Sequence[EncodedRow]) -> str:
    """A hash of which rows these are and what stands in them."""
    content = [
        (row.row_id, tuple(row.input_ids), tuple(row.target_ids), row.gen_token) for row in rows
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
