"""LAMOL (Sun, Ho and Lee, 2020): pseudo rows of earlier tasks are trained on like real ones.

L = CE_qa + lambda CE_gen       over new and pseudo rows together
"""

from pydantic import Field

from lamol_core.config.section import Section, Weight
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, ce

PRESETS = {
    "generate": {
        "rows_per_class": 5,
        "unique": True,
        "known_labels": True,
        "balance_labels": True,
        "max_attempts": 20,
    }
}
"""With these a pretrained model forgets less (docs/results.md). Not for random weights: a model
that writes badly runs out of draws."""


class LamolParams(Section):
    """`lambda`: the weight of the GEN view."""

    lambda_: Weight = Field(0.25, alias="lambda")


class Lamol(Method[LamolParams]):
    name, Params = "lamol", LamolParams
    rehearses = True
    privacy = "Keeps no real row of an earlier task: a model writes pseudo-samples of them."
    presets = PRESETS

    @property
    def loss(self) -> Loss:
        return ce("qa", "new", "pseudo") + self.params.lambda_ * ce("gen", "new", "pseudo")
