"""L2KD, word-level (Chuang, Su and Chen 2020, "Lifelong Language Knowledge Distillation").

    expert   L = CE_qa + lambda CE_gen           the backbone on the new task's rows alone
    student  L = sum over new rows of (KL_qa + lambda KL_gen), the teacher is the expert, T = 1
               + sum over pseudo rows of (CE_qa + lambda CE_gen)
             each view's sum over the number of its tokens in new and pseudo rows together

The expert is thrown away after its task. Keeps no real row of an earlier task.
"""

from __future__ import annotations

from typing import Any

from lamol_core.config.blocks import LamolParams
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, cross_entropy, divergence
from lamol_core.records import Origin, View

BOTH: tuple[Origin, ...] = ("new", "pseudo")


class L2kd(Method):
    def __init__(self, params: LamolParams) -> None:
        self._params = params

    @property
    def expert_loss(self) -> Loss:
        return cross_entropy("qa", "new") + self._params.gen_weight * cross_entropy("gen", "new")

    @property
    def loss(self) -> Loss:
        return self._of_view("qa") + self._params.gen_weight * self._of_view("gen")

    def _of_view(self, view: View) -> Loss:
        kl_new = divergence(view, "new", temperature=1.0, mean_over=BOTH)
        ce_pseudo = cross_entropy(view, "pseudo", mean_over=BOTH)
        return kl_new + ce_pseudo

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        return {
            "lambda": self._params.gen_weight,
            "use_task_specific_gen_token": self._params.use_task_specific_gen_token,
        }
