"""The two bounds of the comparison, both plain cross-entropy on the QA view.

    L = CE_qa

`finetune` sees the new task's rows alone: nothing holds the old tasks (lower bound).
`multitask` sees the real rows of all tasks so far: nothing can be forgotten (upper bound).
It KEEPS THE REAL ROWS of every earlier task, by definition.
"""

from __future__ import annotations

from typing import Any

from lamol_core.methods.terms import Loss, cross_entropy


class Finetune:
    @property
    def loss(self) -> Loss:
        return cross_entropy("qa", "new")

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        return {}


class Multitask(Finetune):
    """The same loss; what differs is the mix (methods/replay.py: KEEPS_REAL_ROWS)."""
