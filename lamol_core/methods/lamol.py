"""LAMOL (Sun, Ho and Lee, 2020): pseudo rows of earlier tasks are trained on like real ones.

    L = CE_qa + lambda CE_gen       over new and pseudo rows together

Keeps no real row of an earlier task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamol_core.config import Alignment, ReplayParams
from lamol_core.methods.base import LossTerms
from lamol_core.records import View

if TYPE_CHECKING:
    from lamol_core.methods.losses import TokenBatch


class Lamol:
    views: tuple[View, ...] = ("qa", "gen")
    needs_teacher = False
    pseudo_alignment: Alignment = "next_token"
    pools_origins = True

    def __init__(self, params: ReplayParams) -> None:
        self._params = params

    def loss(self, batch: TokenBatch) -> LossTerms:
        ce_qa = batch.cross_entropy("qa", "new", "pseudo")
        ce_gen = batch.cross_entropy("gen", "new", "pseudo")
        return LossTerms(ce_qa + self._params.gen_weight * ce_gen, ce_qa, ce_gen)

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        return {
            "lambda": self._params.gen_weight,
            "use_task_specific_gen_token": self._params.use_task_specific_gen_token,
        }
