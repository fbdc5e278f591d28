"""LAMOL_KD: new rows by cross-entropy, earlier tasks by distilling the teacher on pseudo rows.

    first task    L = CE_qa + lambda CE_gen
    later tasks   L = L_new + distill_weight L_old
                  L_new = CE_qa + lambda CE_gen         over the new task's real rows
                  L_old = KL_qa + lambda KL_gen         over the pseudo rows
                  KL    = T^2 mean_tokens KL( softmax(teacher/T) || softmax(student/T) )

Keeps no real row of an earlier task. The teacher is the student as it was before this task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamol_core.config import Alignment, LamolKdParams
from lamol_core.methods.base import LossTerms
from lamol_core.records import View

if TYPE_CHECKING:
    from lamol_core.methods.losses import TokenBatch


class LamolKd:
    views: tuple[View, ...] = ("qa", "gen")
    needs_teacher = True
    pools_origins = False

    def __init__(self, params: LamolKdParams) -> None:
        self._params = params
        self.pseudo_alignment: Alignment = params.alignment

    def loss(self, batch: TokenBatch) -> LossTerms:
        lam, weight = self._params.gen_weight, self._params.distill_weight
        temperature = self._params.temperature

        ce_qa = batch.cross_entropy("qa", "new")
        ce_gen = batch.cross_entropy("gen", "new")
        kl_qa = batch.divergence("qa", "pseudo", temperature)
        kl_gen = batch.divergence("gen", "pseudo", temperature)

        l_new = ce_qa + lam * ce_gen
        l_old = kl_qa + lam * kl_gen
        return LossTerms(l_new + weight * l_old, ce_qa, ce_gen, kl_qa, kl_gen)

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        acting = {"lambda", "use_task_specific_gen_token"}
        if has_pseudo_rows:
            acting |= {"distill_weight", "temperature", "alignment"}
        values = self._params.model_dump(by_alias=True)
        return {name: values[name] for name in sorted(acting)}
