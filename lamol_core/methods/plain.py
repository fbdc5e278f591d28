"""The two bounds of the comparison, both plain cross-entropy on the QA view.

    L = CE_qa

`finetune` sees the new task's rows alone: nothing holds the old tasks (lower bound).
`multitask` sees the real rows of all tasks so far: nothing can be forgotten (upper bound).
It KEEPS THE REAL ROWS of every earlier task, by definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamol_core.config import Alignment
from lamol_core.methods.base import LossTerms
from lamol_core.records import View

if TYPE_CHECKING:
    from lamol_core.methods.losses import TokenBatch


class Finetune:
    views: tuple[View, ...] = ("qa",)
    needs_teacher = False
    pseudo_alignment: Alignment = "next_token"
    pools_origins = False

    def loss(self, batch: TokenBatch) -> LossTerms:
        ce_qa = batch.cross_entropy("qa", "new")
        return LossTerms(ce_qa, ce_qa)

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        return {}


class Multitask(Finetune):
    """The same loss; what differs is the mix (methods/replay.py: KEEPS_REAL_ROWS)."""
