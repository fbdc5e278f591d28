"""A micro-batch's logits, sorted into the groups (view, origin) that a method's loss speaks of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lamol_core.methods.base import Method
from lamol_core.methods.losses import TokenBatch, TokenGroup, supervised_positions
from lamol_core.records import Origin, View
from lamol_core.training.batches import MicroBatch

LogitsFunction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(ids (B, L), mask (B, L), positions (N, 2)) -> logits (N, V)."""


def gather_groups(
    micro: MicroBatch,
    method: Method,
    counts: Mapping[tuple[View, Origin], int],
    student: LogitsFunction,
    teacher: LogitsFunction | None,
) -> TokenBatch:
    """One forward of the student (and of the teacher where pseudo rows need it) for all groups.

    `counts` are the optimizer batch's denominators; where a method pools origins they are added.
    """
    keys = sorted(set(zip(micro.views, micro.origins, strict=True)))
    positions: list[Tensor] = []
    labels: list[Tensor] = []
    for view, origin in keys:
        chosen = torch.tensor(
            [pair == (view, origin) for pair in zip(micro.views, micro.origins, strict=True)],
            device=micro.labels.device,
        )
        group_labels = micro.labels.masked_fill(~chosen[:, None], -100)
        shift = 0 if origin == "pseudo" and method.pseudo_alignment == "reference" else 1
        positions.append(supervised_positions(group_labels, shift))
        labels.append(group_labels[group_labels != -100])
    logits = student(micro.ids, micro.mask, torch.cat(positions))
    parts = logits.split([len(p) for p in positions])

    groups: dict[tuple[View, str], TokenGroup] = {}
    for (view, origin), where, part, group_labels in zip(
        keys, positions, parts, labels, strict=True
    ):
        num_in_batch = counts[view, origin]
        if method.pools_origins:
            num_in_batch = sum(n for (v, _), n in counts.items() if v == view)
        distilled = None
        if origin == "pseudo" and method.needs_teacher and len(where):
            assert teacher is not None
            rows = where[:, 0].unique()
            # the teacher reads the pseudo rows only
            renumbered = torch.stack([torch.searchsorted(rows, where[:, 0]), where[:, 1]], dim=1)
            with torch.no_grad():
                distilled = teacher(micro.ids[rows], micro.mask[rows], renumbered)
        groups[view, origin] = TokenGroup(part, group_labels, num_in_batch, distilled)
    return TokenBatch(groups, like=logits)
