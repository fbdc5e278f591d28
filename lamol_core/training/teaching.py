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

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.config import TrainParams
from lamol_core.data.encoded import EncodedRow
from lamol_core.methods.terms import Loss
from lamol_core.storage.manifest import MANIFEST, Provenance, read_manifest
from lamol_core.text.template import ControlTokens
from lamol_core.training.body import as_body
from lamol_core.training.code import code_digest
from lamol_core.training.objective import TeacherStates
from lamol_core.training.teacher import OnlineTeacher, StatesPlan, store_states

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
        cls,
        loss: Loss,
        control: ControlTokens,
        rows: Sequence[EncodedRow],
        trained: str = "",
    ) -> Lesson:
        origins = {origin for term in loss.distilled for origin in term.origins}
        return cls(loss, control, [row for row in rows if row.origin in origins], trained)


@contextmanager
def teaching(
    load: Callable[[], PreTrainedModel],
    lesson: Lesson,
    params: TrainParams,
    attention: str,
    checkpoint: Path,
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
    with as_body(load(), attention) as body:
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
        provenance = Provenance(
            {
                "views": list(views),
                "shift": shift,
                "dtype": str(plan.dtype),
                "attention": attention,
                "micro_batch_tokens": params.micro_batch_tokens,
                "code": code_digest(),
                "trained": lesson.trained,
            },
            {
                "teacher": read_manifest(checkpoint / MANIFEST, "").content_sha256,
                "rows": digest_of(lesson.rows),
            },
        )
        with PartialState().local_main_process_first():
            stored = store_states(body, plan, folder, provenance)
    del body
    yield stored
    PartialState().wait_for_everyone()
    _remove(folder)


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
