"""All tasks seen so far, jointly: the upper bound of the comparison.

    L = CE_qa       over the real rows of all tasks so far

The loss is `finetune`'s; what differs is the mix (methods/quotas.py). Training goes on from the
student of the tasks before, so that rows of the first task are seen in every later training too;
it does not begin with the backbone again at each task. Nothing can be forgotten: it KEEPS THE REAL
ROWS of every earlier task, by definition.
"""

from __future__ import annotations

from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, cross_entropy


class Multitask(Method):
    @property
    def loss(self) -> Loss:
        return cross_entropy("qa", "new")
