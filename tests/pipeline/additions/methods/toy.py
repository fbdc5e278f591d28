"""L = CE_qa + CE_gen + pull CE_qa(pseudo)"""

from __future__ import annotations

from typing import Any

from lamol_core.config.section import Section, Weight
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, ce


class ToyParams(Section):
    """`pull`: the weight of pseudo rows."""

    pull: Weight = 1.0


class Toy(Method[ToyParams]):
    name, Params = "toy", ToyParams
    rehearses = True
    privacy = "Keeps no real row."

    @property
    def loss(self) -> Loss:
        return ce("qa", "new") + ce("gen", "new") + self.params.pull * ce("qa", "pseudo")

    def effective_params(self, has_pseudo_rows: bool) -> dict[str, Any]:
        return super().effective_params(has_pseudo_rows) if has_pseudo_rows else {}
