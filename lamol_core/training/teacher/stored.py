"""A teacher that runs once before the student is trained, and whose states are read from disk.

The final hidden states of the supervised positions are stored: d numbers per token instead of V. A
copy of the teacher's head turns them into its logits; with an adapter, the student's head with the
teacher's rows of reserved tokens (`TrainingSetup.share_head`).
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.manifest import Provenance, is_whole, seal_folder
from lamol_core.errors import ConfigError
from lamol_core.models.head import LinearHead
from lamol_core.training.batches import MicroBatch
from lamol_core.training.hidden_states import Body
from lamol_core.training.teacher.online import OnlineTeacher

TEACHER_STATES = "teacher_states"
STATES = "states.bin"


class StoredTeacher:
    """Reads the states of each row's views from disk (memory-mapped).

    `micros` must be the micro-batches whose states were stored, in the same order."""

    def __init__(self, folder: Path, micros: Sequence[MicroBatch], head: LinearHead) -> None:
        self.head: LinearHead | None = head
        members = [member for micro in micros for member in micro.members]
        sizes, width = [member.num_supervised for member in members], head.weight.shape[1]
        states = torch.from_file(
            str(folder / STATES), size=sum(sizes) * width, dtype=head.weight.dtype
        ).view(-1, width)
        keys = ((member.row_id, member.view) for member in members)
        self._states = dict(zip(keys, states.split(sizes), strict=True))

    def states(self, micro: MicroBatch, shift: int) -> Tensor:  # shifted when they were stored
        parts = [self._states[member.row_id, member.view] for member in micro.members]
        return torch.cat(parts).to(micro.ids.device)


def num_bytes(micros: Sequence[MicroBatch], head: LinearHead) -> int:
    """The bytes that the states of these micro-batches take."""
    return sum(micro.num_supervised for micro in micros) * head.weight[0].nbytes


def store_states(
    body: Body, micros: Sequence[MicroBatch], shift: int, folder: Path, provenance: Provenance
) -> StoredTeacher:
    """Run the teacher once over these micro-batches and store its states, unless `folder` already
    has them.

    `shift`: how many positions before a token its state is taken. Raises ConfigError where the disk
    has no room."""
    head = body.head
    assert head is not None, "states can be stored for a head that is just a matrix"
    # an interrupted training may have stored all states
    if not is_whole(folder, TEACHER_STATES, provenance):
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        needed, free = num_bytes(micros, head), shutil.disk_usage(folder.parent).free
        if needed > free:
            raise ConfigError(
                f"{folder}: the teacher's states need {needed / 1e6:.0f} MB, the disk has "
                f"{free / 1e6:.0f} MB left. Make room, or set train.teacher_targets: online."
            )
        teacher, device = OnlineTeacher(body), body.model.device
        with atomic_folder(folder) as scratch:
            with (scratch / STATES).open("wb") as file:
                for micro in micros:
                    states = teacher.states(micro.to(device), shift).cpu()
                    file.write(states.view(torch.uint8).numpy().tobytes())
            seal_folder(scratch, TEACHER_STATES, {}, provenance)
    return StoredTeacher(folder, micros, head.copy())
