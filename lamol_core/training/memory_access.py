"""Between a method's memory and the student that is trained: rows in, logits and gradients out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lamol_core.methods.terms import ce
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.template import ControlTokens
from lamol_core.training.batches import micro_batches
from lamol_core.training.hidden_states import Body
from lamol_core.training.objective import losses_of


def answer_logits(
    body: Body, control: ControlTokens, max_tokens: int, rows: Sequence[EncodedRow]
) -> list[Tensor]:
    """The logits (n, V) of each row's answer (QA view), in eval mode, without gradient."""
    was_training, found = body.training, {}
    body.eval()
    with torch.no_grad():
        for micro in micro_batches(rows, ("qa",), control, max_tokens):
            micro = micro.to(body.model.device)
            states = body(micro, micro.supervised - 1)
            logits = states if body.head is None else body.head.logits(states)
            parts = logits.split([member.num_supervised for member in micro.members])
            for member, of_row in zip(micro.members, parts, strict=True):
                found[member.row_id] = of_row
    body.train(was_training)
    return [found[row.row_id] for row in rows]


def likelihood_backward(body: Body, control: ControlTokens, row: EncodedRow) -> None:
    """Add the gradient of -log p(y | x) of one row to the weights, in eval mode."""
    (micro,) = micro_batches([row], ("qa",), control, 1)
    micro, loss = micro.to(body.model.device), ce("qa", "new")
    # a denominator of 1: the sum over the answer's tokens
    losses_of(micro, loss, {("qa", "new"): 1}, body, body.head, {}).total.backward()
