"""Choose whether the teacher runs during training (online) or once before it (offline)."""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
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
    """A context that yields a model as the teacher for these rows; None without a model.

    An online teacher stays in memory. An offline teacher runs once, here, and its states are kept
    in `folder` until the training has ended. If the training is interrupted, the next one with
    equal `inputs` uses these states again."""
    params, stored = setup.params, None
    with nullcontext() if model is None else as_body(model, setup.attention) as body:
        if body is None:
            _remove(folder)
            yield None
        elif params.teacher_targets == "online" or body.head is None:
            if params.teacher_targets == "offline":
                sentence = "The teacher's head is not a single matrix, so it runs online."
                log.warning(sentence, extra={"first_met": 2})
            _remove(folder)
            yield OnlineTeacher(body)
        else:
            micros = micro_batches(rows, loss.views, params.micro_batch_tokens)
            size_mb = num_bytes(micros, body.head) / 1e6
            log.info(
                "the teacher's states (%.1f MB) are in %s during the training",
                size_mb, folder, extra={"first_met": 2},
            )  # fmt: skip
            shift, provenance = loss.of_kind("kl")[0].shift, Provenance(dict(inputs))
            with PartialState().local_main_process_first():
                stored = store_states(body, micros, shift, folder, provenance)
    if stored is not None:
        del model, body  # they take no memory while the student is trained
        yield stored  # the states stay after an exception: a resumed training needs them
    PartialState().wait_for_everyone()
    _remove(folder)


def _remove(folder: Path) -> None:
    """Remove states that are not needed, also those of an interrupted training."""
    if PartialState().is_local_main_process:
        shutil.rmtree(folder, ignore_errors=True)
