"""L2KD, word-level (Chuang, Su and Chen 2020, "Lifelong Language Knowledge Distillation").

    expert   L = CE_qa + lambda CE_gen           the backbone on the new task's rows alone
    student  L = sum over new rows of (KL_qa + lambda KL_gen), the teacher is the expert, T = 1
               + sum over pseudo rows of (CE_qa + lambda CE_gen)
             each view's sum is divided by its number of tokens in new and pseudo rows together

The expert is discarded after its task.
"""

from lamol_core.methods.lamol import LamolParams, Rehearsing
from lamol_core.methods.terms import Loss, ce, kl
from lamol_core.records import Origin, View

BOTH: tuple[Origin, ...] = ("new", "pseudo")


class L2kd(Rehearsing[LamolParams]):
    name, Params = "l2kd", LamolParams
    cost_per_token = 1.7  # the expert

    @property
    def expert_loss(self) -> Loss:
        return ce("qa", "new") + self.params.lambda_ * ce("gen", "new")

    @property
    def loss(self) -> Loss:
        return self._of_view("qa") + self.params.lambda_ * self._of_view("gen")

    def _of_view(self, view: View) -> Loss:
        kl_new = kl(view, "new", temperature=1.0, mean_over=BOTH)
        return kl_new + ce(view, "pseudo", mean_over=BOTH)
