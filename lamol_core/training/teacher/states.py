"""The teacher's side of a divergence: run beside the student, or once before, left on disk.

Offline, what is stored are its final hidden states at the supervised positions, d numbers a token
instead of V; its own head makes the same logits of them that the teacher would.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.manifest import Provenance, is_whole, seal_folder
from lamol_core.errors import ConfigError
from lamol_core.models.head import LinearHead
from lamol_core.records import View
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.template import ControlTokens
from lamol_core.training.batches import MicroBatch, pack_rows
from lamol_core.training.hidden_states import Body

log = logging.getLogger(__name__)

SHARD_BYTES = 64 * 2**20
STATES = "states"
TEACHER_STATES = "teacher_states"


class OnlineTeacher:
    """Runs the teacher on each micro-batch."""

    def __init__(self, body: Body) -> None:
        self._body, self.head = body, body.head
        body.model.requires_grad_(False).eval()

    @torch.no_grad()
    def states(self, micro: MicroBatch, shift: int) -> Tensor:
        return self._body(micro, micro.supervised - shift)


@dataclass(frozen=True)
class StatesPlan:
    """What is to be stored: the sequences in the order they are computed in, and how much it is."""

    micros: Sequence[MicroBatch]
    shift: int
    bytes_per_token: int

    @classmethod
    def of(
        cls, rows: Sequence[EncodedRow], views: Sequence[View], control: ControlTokens,
        max_tokens: int, shift: int, head: LinearHead,
    ) -> StatesPlan:  # fmt: skip
        micros = pack_rows(rows, views, control, max_tokens)
        return cls(micros, shift, head.weight[0].nbytes)

    @property
    def num_tokens(self) -> int:
        return sum(sum(micro.supervised_counts) for micro in self.micros)

    @property
    def num_bytes(self) -> int:
        """Known before anything is computed."""
        return self.num_tokens * self.bytes_per_token


class StoredTeacher:
    """Reads states from the disk (memory-mapped), sequence by sequence; holds the head."""

    def __init__(self, folder: Path, plan: StatesPlan, head: LinearHead) -> None:
        self.head: LinearHead | None = head
        self._places: dict[tuple[str, View], tuple[Any, int, int]] = {}
        shards = sorted(folder.glob("*.safetensors"))
        self._shards = [safe_open(shard, framework="pt") for shard in shards]
        slices = [shard.get_slice(STATES) for shard in self._shards]
        ends = [piece.get_shape()[0] for piece in slices]
        shard = offset = 0
        for micro in plan.micros:  # in the order of storage
            for member, count in zip(micro.members, micro.supervised_counts, strict=True):
                while offset >= ends[shard]:
                    shard, offset = shard + 1, 0
                place = (slices[shard], offset, offset + count)
                self._places[member.row_id, member.view] = place
                offset += count

    def states(self, micro: MicroBatch, shift: int) -> Tensor:
        parts = []
        for member in micro.members:
            piece, start, stop = self._places[member.row_id, member.view]
            parts.append(piece[start:stop])
        return torch.cat(parts).to(micro.ids.device)


def store_states(
    body: Body, plan: StatesPlan, folder: Path, provenance: Provenance
) -> StoredTeacher:
    """Run the teacher once over all its rows, unless `folder` holds just that already.

    Raises ConfigError when the disk has no room for it.
    """
    head = body.head
    assert head is not None, "states can be stored for a head that is just a matrix"
    if not is_whole(folder, TEACHER_STATES, provenance):  # of a training that was cut off
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
        if plan.num_bytes > free:
            raise ConfigError(
                f"{folder}: the teacher's states need {plan.num_bytes / 1e6:.0f} MB, the disk has "
                f"{free / 1e6:.0f} MB left. Make room, or set train.teacher_targets: online."
            )
        with atomic_folder(folder) as scratch:
            _write_shards(body, plan, scratch)
            seal_folder(scratch, TEACHER_STATES, {STATES: plan.num_tokens}, provenance)
    return StoredTeacher(folder, plan, head.copy())


def _write_shards(body: Body, plan: StatesPlan, folder: Path) -> None:
    """Whole sequences in files of about SHARD_BYTES."""
    online, device = OnlineTeacher(body), body.model.device
    waiting: list[Tensor] = []
    num_files = 0
    for place, micro in enumerate(plan.micros):
        waiting.append(online.states(micro.to(device), plan.shift).cpu())
        size = sum(states.nbytes for states in waiting)
        if size >= SHARD_BYTES or place == len(plan.micros) - 1:
            save_file({STATES: torch.cat(waiting)}, folder / f"{num_files:05d}.safetensors")
            num_files, waiting = num_files + 1, []
