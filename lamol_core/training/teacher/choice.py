"""Which teacher a student is trained with, and what it leaves on disk until then."""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.artifacts.manifest import Provenance
from lamol_core.methods.terms import Loss
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.batches import micro_batches
from lamol_core.training.hidden_states import as_body
from lamol_core.training.setup import TrainingSetup
from lamol_core.training.teacher.interface import Teacher
from lamol_core.training.teacher.online import OnlineTeacher
from lamol_core.training.teacher.stored import num_bytes, store_states

log = logging.getLogger(__name__)


@contextmanager
def open_teacher(
    model: PreTrainedModel | None,
    rows: Sequence[EncodedRow],
    loss: Loss,
    setup: TrainingSetup,
    folder: Path,
    inputs: Mapping[str, Any],
) -> Iterator[Teacher | None]:
    """A model as the teacher of these rows, while the student is trained; None without a model.

    Online the model stays in memory. Offline it runs once, here; its states lie in `folder` until
    the training has ended, and are found again by one of the same `inputs` after it was cut off.
    """
    params = setup.params
    if model is None:
        _remove(folder)
        yield None
        return
    with as_body(model, setup.attention) as body:
        if params.teacher_targets == "online" or body.head is None:
            if params.teacher_targets == "offline":
                log.warning("The teacher's head is more than a matrix: it runs online.")
            _remove(folder)
            yield OnlineTeacher(body)
            return
        micros = micro_batches(rows, loss.views, setup.control, params.micro_batch_tokens)
        setup.say(
            f"the teacher's states, {num_bytes(micros, body.head) / 1e6:.1f} MB, are kept in "
            f"{folder} while the student is trained"
        )
        shift, provenance = loss.distilled[0].shift, Provenance(dict(inputs))
        with PartialState().local_main_process_first():
            teacher = store_states(body, micros, shift, folder, provenance)
    del model, body, micros
    yield teacher
    PartialState().wait_for_everyone()
    _remove(folder)


def _remove(folder: Path) -> None:
    """States of a training that has ended, or that was cut off and does not need them now."""
    if PartialState().is_local_main_process:
        shutil.rmtree(folder, ignore_errors=True)
