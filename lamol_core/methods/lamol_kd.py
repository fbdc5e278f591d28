"""LAMOL_KD (Zheng, Qiu and Ma 2023, "Learn or Recall? Revisiting Incremental Learning with
Pre-trained Language Models"): new rows by cross-entropy, pseudo rows of earlier tasks by distilling
the teacher.

    first task    L = CE_qa + lambda CE_gen
    later tasks   L = L_new + distill_weight L_old
                  L_new = CE_qa + lambda CE_gen         over the new task's real rows
                  L_old = KL_qa + lambda KL_gen         over the pseudo rows
                  KL    = T^2 mean_tokens KL( softmax(teacher/T) || softmax(student/T) )

The teacher is the student before this task. lamol_core/text/template.py lays out the views QA and
GEN. Without pseudo rows there is no L_old.
"""

from typing import Any, ClassVar

from lamol_core.config.section import Positive, Weight
from lamol_core.methods.lamol import LamolParams, Rehearsing
from lamol_core.methods.terms import Alignment, Loss, ce, kl


class LamolKdParams(LamolParams):
    """The distillation of earlier tasks.

    Attributes:
        distill_weight: The weight of L_old, the loss on pseudo rows.
        temperature: The temperature T of the distillation.
        alignment: `next_token`: each token is predicted from the one before. `reference` reproduces
            a fault of the published code.
    """

    distill_weight: Weight = 1.0
    temperature: Positive = 2.0
    alignment: Alignment = "next_token"


class LamolKd(Rehearsing[LamolKdParams]):
    name, Params = "lamol_kd", LamolKdParams
    # with 0.25 a teacher misses whole kinds of inputs (docs/results/clinc150_rows_by_label.md)
    presets: ClassVar = {**Rehearsing.presets, "lamol_kd": {"lambda": 1.0}}

    @property
    def loss(self) -> Loss:
        lambda_, weight = self.params.lambda_, self.params.distill_weight
        temperature, alignment = self.params.temperature, self.params.alignment

        l_new = ce("qa", "new") + lambda_ * ce("gen", "new")
        l_old = (
            kl("qa", "pseudo", temperature, alignment)
            + lambda_ * kl("gen", "pseudo", temperature, alignment)
        )  # fmt: skip
        return l_new + weight * l_old

    def effective_params(self, has_pseudo_rows: bool) -> dict[str, Any]:
        values = super().effective_params(has_pseudo_rows)
        return values if has_pseudo_rows else {"lambda": values["lambda"]}
