"""Training's sums done the plain way: one row, one view, all logits at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamol_core.text.encoded import EncodedRow
from tests.fakes import CONTROL

GEN_OF = dict(zip("ab", CONTROL.gen_by_task, strict=True))


def naive_lamol_kd(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    rows: Sequence[EncodedRow],
    *,
    lam: float = 0.25,
    weight: float = 1.0,
    temperature: float = 2.0,
) -> Tensor:
    """L of section 2 of the design, at next-token alignment."""
    ce: dict[str, list[Tensor]] = {"qa": [], "gen": []}
    kl: dict[str, list[Tensor]] = {"qa": [], "gen": []}
    for row in rows:
        answer = [*row.target_ids, CONTROL.eos]
        body = [*row.input_ids, CONTROL.ans, *answer]
        views = {"qa": (body, len(body) - len(answer)), "gen": ([GEN_OF[row.task], *body], 1)}
        for view, (ids, first) in views.items():
            tensor = torch.tensor([ids])
            told = student(input_ids=tensor).logits[0]
            with torch.no_grad():
                wanted = teacher(input_ids=tensor).logits[0]
            for t in range(first, len(ids)):
                if row.origin == "new":
                    ce[view].append(-told[t - 1].softmax(0)[ids[t]].log())
                else:
                    p = (wanted[t - 1] / temperature).softmax(0)
                    q = (told[t - 1] / temperature).softmax(0)
                    kl[view].append(temperature**2 * (p * (p / q).log()).sum())

    def mean(values: list[Tensor]) -> Tensor:
        return torch.stack(values).mean() if values else torch.zeros(())

    new = mean(ce["qa"]) + lam * mean(ce["gen"])
    return new + weight * (mean(kl["qa"]) + lam * mean(kl["gen"]))
