"""LAMOL (Sun, Ho and Lee, 2020): pseudo rows of earlier tasks are trained on like real rows.

L = CE_qa + lambda CE_gen       over new and pseudo rows together
"""

from typing import ClassVar

from pydantic import Field

from lamol_core.config.section import Section, Weight
from lamol_core.methods.spec import Method, P
from lamol_core.methods.terms import Loss, ce


class LamolParams(Section):
    """The weight of writing rows beside that of answering them.

    Attributes:
        lambda_: The weight of the GEN view.
    """

    lambda_: Weight = Field(0.25, alias="lambda")


class Rehearsing(Method[P]):
    """The base class of the methods that rehearse pseudo-samples.

    With these presets a pretrained model forgets less, by `lamol_kd` (docs/results.md); other
    methods were not measured with them. A backbone with random weights does not get them: it
    writes so badly that its draws run out."""

    rehearses = True
    privacy = "Keeps no real row of an earlier task: a model writes pseudo-samples of them."
    presets: ClassVar = {
        "text": {"gen_order": "target_first"},
        "generate": {
            "rows_per_class": 14,
            "max_attempts": 8,
            "unique": True,
            "judge": "features",
            "carry_over": True,
        },
    }


class Lamol(Rehearsing[LamolParams]):
    name, Params = "lamol", LamolParams

    @property
    def loss(self) -> Loss:
        return ce("qa", "new", "pseudo") + self.params.lambda_ * ce("gen", "new", "pseudo")
