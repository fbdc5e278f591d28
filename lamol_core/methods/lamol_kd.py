"""LAMOL_KD (Zheng, Qiu and Ma 2023, "Learn or Recall? Revisiting Incremental Learning with
Pre-trained Language Models"): new rows by cross-entropy, earlier tasks by distilling the teacher on
pseudo rows.

    first task    L = CE_qa + lambda CE_gen
    later tasks   L = L_new + distill_weight L_old
                  L_new = CE_qa + lambda CE_gen         over the new task's real rows
                  L_old = KL_qa + lambda KL_gen         over the pseudo rows
                  KL    = T^2 mean_tokens KL( softmax(teacher/T) || softmax(student/T) )

The views QA and GEN: lamol_core/text/template.py. Without pseudo rows L_old is absent.
Keeps no real row of an earlier task. The teacher is the student as it was before this task.
"""

from __future__ import annotations

from typing import Any

from lamol_core.config.blocks import LamolKdParams
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, cross_entropy, divergence


class LamolKd(Method):
    def __init__(self, params: LamolKdParams) -> None:
        self._params = params

    @property
    def loss(self) -> Loss:
        lam, weight = self._params.gen_weight, self._params.distill_weight
        temperature, alignment = self._params.temperature, self._params.alignment

        ce_qa = cross_entropy("qa", "new")
        ce_gen = cross_entropy("gen", "new")
        kl_qa = divergence("qa", "pseudo", temperature, alignment)
        kl_gen = divergence("gen", "pseudo", temperature, alignment)

        l_new = ce_qa + lam * ce_gen
        l_old = kl_qa + lam * kl_gen
        return l_new + weight * l_old

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        acting = {"lambda", "use_task_specific_gen_token"}
        if has_pseudo_rows:
            acting |= {"distill_weight", "temperature", "alignment"}
        values = self._params.model_dump(by_alias=True)
        return {name: values[name] for name in sorted(acting)}
