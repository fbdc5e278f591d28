"""Plain sequential training: the lower bound of the comparison.

    L = CE_qa       over the new task's rows

Nothing holds the old tasks. Keeps no real row of an earlier task.
"""

from __future__ import annotations

from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, cross_entropy


class Finetune(Method):
    @property
    def loss(self) -> Loss:
        return cross_entropy("qa", "new")
