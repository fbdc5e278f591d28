"""LAMOL (Sun, Ho and Lee, 2020): pseudo rows of earlier tasks are trained on like real ones.

    L = CE_qa + lambda CE_gen       over new and pseudo rows together

Keeps no real row of an earlier task.
"""

from __future__ import annotations

from typing import Any

from lamol_core.config.blocks import LamolParams
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, cross_entropy


class Lamol(Method):
    def __init__(self, params: LamolParams) -> None:
        self._params = params

    @property
    def loss(self) -> Loss:
        ce_qa = cross_entropy("qa", "new", "pseudo")
        ce_gen = cross_entropy("gen", "new", "pseudo")
        return ce_qa + self._params.gen_weight * ce_gen

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        return {
            "lambda": self._params.gen_weight,
            "use_task_specific_gen_token": self._params.use_task_specific_gen_token,
        }
