"""LAMOL (Sun, Ho and Lee, 2020): pseudo rows of earlier tasks are trained on like real ones.

L = CE_qa + lambda CE_gen       over new and pseudo rows together
"""

from typing import ClassVar

from pydantic import Field

from lamol_core.config.section import Section, Weight
from lamol_core.methods.spec import Method, P
from lamol_core.methods.terms import Loss, ce


class LamolParams(Section):
    """`lambda`: the weight of the GEN view."""

    lambda_: Weight = Field(0.25, alias="lambda")


class Rehearsing(Method[P]):
    """What the methods have in common that rehearse pseudo-samples.

    With their presets a pretrained model forgets less (docs/results.md). Not for random weights: a
    model that writes badly runs out of draws."""

    rehearses = True
    privacy = "Keeps no real row of an earlier task: a model writes pseudo-samples of them."
    presets: ClassVar = {
        "generate": {
            "rows_per_class": 5,
            "unique": True,
            "known_labels": True,
            "balance_labels": True,
            "max_attempts": 20,
        }
    }


class Lamol(Rehearsing[LamolParams]):
    name, Params = "lamol", LamolParams

    @property
    def loss(self) -> Loss:
        return ce("qa", "new", "pseudo") + self.params.lambda_ * ce("gen", "new", "pseudo")
