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

from lamol_core.artifacts.manifest import MANIFEST, Provenance, read_manifest
from lamol_core.artifacts.spec import TEACHER, remedy
from lamol_core.methods.terms import Loss
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.determinism import computed_by
from lamol_core.training.hidden_states import as_body
from lamol_core.training.objective import TeacherStates
from lamol_core.training.setup import Fitting
from lamol_core.training.teacher.states import OnlineTeacher, StatesPlan, store_states

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TeacherSource:
    """Where a teacher comes from, if it is needed."""

    checkpoint: Path
    """What it is, or what it is trained from."""
    load: Callable[[], PreTrainedModel]
    trained: str = ""
    """How it is made of its checkpoint, where it is no copy: an expert is trained."""


@contextmanager
def teaching(
    source: TeacherSource, fitting: Fitting, loss: Loss, rows: Sequence[EncodedRow], folder: Path
) -> Iterator[TeacherStates | None]:
    """The teacher's side of the loss, while the student is trained; None where it has none.

    Online the model stays in memory. Offline it runs once, here; its states are removed when the
    training has ended well, and found again by one that was cut off.
    """
    origins = {origin for term in loss.distilled for origin in term.origins}
    rows = [row for row in rows if row.origin in origins]
    if not rows:
        _remove(folder)
        yield None
        return
    params = fitting.params
    with as_body(source.load(), fitting.attention) as body:
        if params.teacher_targets == "online" or body.head is None:
            if params.teacher_targets == "offline":
                log.warning("The teacher's head is more than a matrix: it runs online.")
            _remove(folder)
            yield OnlineTeacher(body)
            return
        shift, max_tokens = loss.distilled[0].shift, params.micro_batch_tokens
        plan = StatesPlan.of(rows, loss.views, fitting.control, max_tokens, shift, body.head)
        fitting.say(
            f"the teacher's states of {plan.num_tokens} tokens, {plan.num_bytes / 1e6:.1f} MB, "
            f"are kept in {folder} while the student is trained"
        )
        provenance = _states_provenance(source, fitting, loss, rows, shift)
        with PartialState().local_main_process_first():
            stored = store_states(body, plan, folder, provenance)
    del body
    yield stored
    PartialState().wait_for_everyone()
    _remove(folder)


def _states_provenance(
    source: TeacherSource, fitting: Fitting, loss: Loss, rows: Sequence[EncodedRow], shift: int
) -> Provenance:
    """All that decides a teacher's states: those of a training that was cut off are found by it."""
    checkpoint = source.checkpoint
    teacher = read_manifest(checkpoint / MANIFEST, remedy(TEACHER, checkpoint.parent.name))
    return Provenance(
        {
            **computed_by(fitting.dtype),
            "views": list(loss.views),
            "shift": shift,
            "attention": fitting.attention,
            "micro_batch_tokens": fitting.params.micro_batch_tokens,
            "trained": source.trained,
        },
        {"teacher": teacher.content_sha256, "rows": digest_of(rows)},
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
