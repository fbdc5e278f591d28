"""Small golden cases of our own, for places where ../shared is not.

The models are tables: the logit of word v at column c after reading token i is
    student  ((7 i + 3 c + 5 v) mod 11) / 4      teacher  ((5 i + 2 c + 3 v) mod 7) / 2
and the numbers are those of a plain Python implementation (lists and math.log, no torch) that was
written apart from the library, straight from the equations in section 2 of the design.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lamol_core.config.section import Section
from lamol_core.methods.derpp import Derpp, DerppParams
from lamol_core.methods.ewc import Ewc, EwcParams
from lamol_core.methods.ewc_memory import FisherMemory
from lamol_core.methods.finetune import Finetune
from lamol_core.methods.l2kd import L2kd
from lamol_core.methods.lamol import Lamol, LamolParams
from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.methods.replay import Replay, ReplayParams
from lamol_core.methods.spec import Method
from lamol_core.text.template import ControlTokens, TaskPrompts, TokenTemplate
from lamol_core.training.batches import IGNORED, MicroBatch, count_supervised, micro_batches
from lamol_core.training.objective import losses_of

WORDS = 12
Table = Callable[[MicroBatch, Tensor], Tensor]
TEMPLATE = TokenTemplate(
    ControlTokens(1, eos=0, pad=2, gen=3, gen_by_task=(4, 5)), TaskPrompts(["a", "b"])
)
NEW = TEMPLATE.row("n0", "new", "b", (6, 7, 8), (9,))
NEW_LONG = TEMPLATE.row("n1", "new", "b", (11, 6, 6, 10), (7, 8))
PSEUDO = TEMPLATE.row("p0", "pseudo", "a", (10, 11), (6, 9))
REMEMBERED = TEMPLATE.row("m0", "memory", "a", (7, 9), (10,))


def table_model(weights: tuple[int, int, int], modulus: int, scale: float) -> Table:
    a, b, c = weights

    def logits(micro: MicroBatch, at: Tensor) -> Tensor:
        columns = micro.positions[at][:, None]
        words = torch.arange(WORDS)
        return ((a * micro.ids[at][:, None] + b * columns + c * words) % modulus) / scale

    return logits


STUDENT = table_model((7, 3, 5), 11, 4.0)


class TableTeacher:
    head = None

    def states(self, micro: MicroBatch, shift: int) -> Tensor:
        at = (micro.labels != IGNORED).nonzero()[:, 0] - shift
        return table_model((5, 2, 3), 7, 2.0)(micro, at)


def kd(alignment: str, **changes: float) -> LamolKd:
    return LamolKd(LamolKdParams.model_validate({"alignment": alignment, **changes}))


CASES = {
    "first task": (kd("next_token"), (NEW, NEW_LONG), 2.913490038),
    "next_token": (kd("next_token"), (NEW, PSEUDO, NEW_LONG), 3.861233784),
    "reference": (kd("reference"), (NEW, PSEUDO, NEW_LONG), 3.963078153),
    "other weights": (
        kd("next_token", distill_weight=0.5, temperature=1.0, **{"lambda": 1.0}),
        (NEW, PSEUDO),
        5.507550636,
    ),
    "pseudo alone": (kd("next_token"), (PSEUDO,), 0.947743746),
    "lamol": (Lamol(LamolParams()), (NEW, PSEUDO, NEW_LONG), 2.817698426),
    "finetune": (Finetune(Section()), (NEW, NEW_LONG), 2.176878816),
    "l2kd": (L2kd(LamolParams()), (NEW, PSEUDO, NEW_LONG), 1.543457633),
    "replay": (Replay(ReplayParams()), (NEW, REMEMBERED, NEW_LONG), 2.333230180),
    "derpp": (Derpp(DerppParams()), (NEW, NEW_LONG, REMEMBERED), 4.135287278),
    "derpp, other weights": (
        Derpp(DerppParams(alpha=0.2, beta=0.7)),
        (NEW, NEW_LONG, REMEMBERED),
        4.322296496,
    ),
    "ewc, penalty apart": (Ewc(EwcParams()), (NEW, NEW_LONG), 2.176878816),
}


def test_the_penalty_of_ewc_is_the_number_worked_out_by_hand() -> None:
    """weight 3, F 2 and 5, moved by 0.5 and -1: 3 / 2 (2 * 0.25 + 5 * 1), and 3 F move as gradient
    beside that of the loss."""
    model = nn.Linear(2, 1, bias=False)
    memory = FisherMemory(EwcParams(weight=3.0), 0, {"weight": torch.tensor([[2.0, 5.0]])})
    memory.begin(model)
    with torch.no_grad():
        model.weight += torch.tensor([[0.5, -1.0]])
    model.weight.grad = torch.tensor([[10.0, 10.0]])
    assert memory.add_penalty(model) == pytest.approx(8.25)
    assert model.weight.grad.tolist() == [pytest.approx([13.0, -5.0])]


@pytest.mark.parametrize("max_tokens", [10**9, 1])
@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_the_number_worked_out_apart(name: str, max_tokens: int) -> None:
    method: Method
    method, rows, expected = CASES[name]
    loss, teachers = method.loss, {"kl": TableTeacher(), "mse": TableTeacher()}
    denominators = count_supervised(rows, loss.views)
    total = sum(
        losses_of(micro, loss, denominators, STUDENT, None, teachers).total.item()
        for micro in micro_batches(rows, loss.views, max_tokens)
    )
    assert total == pytest.approx(expected, rel=1e-5)
