"""The token losses (ce, kl, mse), computed together with the head that makes the logits.

The logits of all tokens are never in memory at once. A few tokens at a time go through the head,
give their loss, are overwritten by its gradient, and go back through the head. The backward is
written by hand, because autograd would keep all logits and probabilities until then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from lamol_core.methods.terms import Kind
from lamol_core.models.head import LinearHead

CHUNK_BYTES = 64 * 2**20
"""The bytes of logits that go through the head at once: enough for fast matrix products."""
IN_CACHE_BYTES = 2 * 2**20
"""The bytes of fp32 logits whose losses are computed at once: they fit a processor's cache."""


@dataclass(frozen=True)
class Segment:
    """Neighbouring tokens of one term. Their loss is `weight` times the sum over the tokens.

    `values` are labels (n,) for ce. For kl (at `temperature`) and mse they are the teacher's logits
    (n, V), or its hidden states (n, d) if `teacher_head` is given to make logits of them."""

    kind: Kind
    weight: float
    values: Tensor
    teacher_head: LinearHead | None = None
    temperature: float = 1.0

    def targets(self, start: int, stop: int) -> Tensor:
        """The labels (stop - start,) or the teacher's logits (stop - start, V) of the tokens from
        `start` to `stop`."""
        values = self.values[start:stop]
        return values if self.teacher_head is None else self.teacher_head.logits(values)


@dataclass(frozen=True)
class TokenLosses:
    """The losses of a micro-batch, in nats. `total`: the weighted loss (), on the autograd graph.

    `sums` (segments,): each segment's unweighted loss summed over its tokens, detached."""

    total: Tensor
    sums: Tensor


def losses_of_states(
    states: Tensor, head: LinearHead | None, segments: Sequence[Segment]
) -> TokenLosses:
    """The losses of all segments from the hidden states (N, d) of their tokens, one segment after
    the other.

    Memory does not grow with N times V. Without a head `states` are the logits (N, V). Raises
    ValueError where the segments do not have N tokens in all."""
    num_values = sum(len(segment.values) for segment in segments)
    if num_values != len(states):
        raise ValueError(f"states of {len(states)} tokens, targets of {num_values}")
    tensors: list[Tensor | None] = [None, None, None]
    if head is not None:
        tensors = [head.weight, head.bias, None if head.own is None else head.own.values]
    return TokenLosses(*_FusedLosses.apply(states, *tensors, head, segments))


class _FusedLosses(torch.autograd.Function):
    """Losses and gradients in one pass. This works because the loss is a sum of terms with known
    weights."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        own: Tensor | None,
        head: LinearHead | None,
        segments: Sequence[Segment],
    ) -> tuple[Tensor, Tensor]:
        """`weight`, `bias` and `own` are the tensors of `head`: autograd looks at arguments."""
        grad_states = states.clone() if head is None else torch.empty_like(states)
        grads = [
            torch.zeros_like(tensor) if tensor is not None and needed else None
            for tensor, needed in zip((weight, bias, own), ctx.needs_input_grad[1:4], strict=True)
        ]
        sums = states.new_zeros(len(segments), dtype=torch.float32)
        row_bytes = states.element_size() * (states.shape[1] if weight is None else len(weight))
        size = max(CHUNK_BYTES // row_bytes, 1)
        for start in range(0, len(states), size):
            rows, grad_rows = states[start : start + size], grad_states[start : start + size]
            logits = grad_rows if head is None else head.logits(rows)
            for index, segment, first, part in _parts(segments, start, logits):
                sums[index] += _loss_to_gradient_(part, segment, first)
            if head is not None and any(ctx.needs_input_grad):
                _through_head(logits, rows, head, grad_rows, *grads)
        ctx.save_for_backward(grad_states, *grads)
        ctx.mark_non_differentiable(sums)
        weights = torch.tensor([segment.weight for segment in segments], device=sums.device)
        return (weights * sums).sum(), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor, grad_sums: Tensor) -> tuple[Any, ...]:
        gradients = ctx.saved_tensors
        if grad_total != 1:
            gradients = [None if g is None else g.mul_(grad_total) for g in gradients]
        return (*gradients, None, None)


def _through_head(
    gradient: Tensor,
    states: Tensor,
    head: LinearHead,
    grad_states: Tensor,
    grad_weight: Tensor | None,
    grad_bias: Tensor | None,
    grad_own: Tensor | None,
) -> None:
    """Take the gradient (n, V) of the logits of states (n, d) back through the head: write
    `grad_states` (n, d), add to the others. `gradient` is changed."""
    if grad_bias is not None:
        grad_bias += gradient.sum(dim=0)
    of_own = None
    if head.own is not None:
        of_own = gradient[:, head.own.ids]
        gradient[:, head.own.ids] = 0.0  # the matrix's own rows there have no part in the logits
    torch.mm(gradient, head.weight, out=grad_states)
    if grad_weight is not None:
        grad_weight.addmm_(gradient.T, states)
    if head.own is not None and of_own is not None:
        grad_states.addmm_(of_own, head.own.values)
        if grad_own is not None:
            grad_own.addmm_(of_own.T, states)


def _parts(
    segments: Sequence[Segment], start: int, logits: Tensor
) -> Iterator[tuple[int, Segment, int, Tensor]]:
    """The parts of segments in a chunk of logits (n, V) that begins at token `start`.

    Yields each segment's index, the segment, the first of its tokens in the chunk, and the logits
    of these tokens."""
    offset, stop = 0, start + len(logits)
    for index, segment in enumerate(segments):
        first, last = max(offset, start), min(offset + len(segment.values), stop)
        if first < last:
            yield index, segment, first - offset, logits[first - start : last - start]
        offset += len(segment.values)


def _loss_to_gradient_(logits: Tensor, segment: Segment, first: int) -> Tensor:
    """Overwrite logits (n, V) with the weighted gradient; returns the tokens' summed loss, ().

    `first`: the index of the first token in the segment. A few rows are computed at a time, so that
    they stay in the processor's cache. Raises ValueError where the teacher's logits have another
    shape."""
    all_targets = segment.targets(first, first + len(logits))
    if segment.kind != "ce" and all_targets.shape != logits.shape:
        raise ValueError(f"student {tuple(logits.shape)}, teacher {tuple(all_targets.shape)}")
    size = max(IN_CACHE_BYTES // (4 * logits.shape[1]), 1)
    total = logits.new_zeros((), dtype=torch.float32)
    for start in range(0, len(logits), size):
        rows, targets = logits[start : start + size], all_targets[start : start + size]
        if segment.kind == "ce":
            total += _cross_entropy_to_gradient_(rows, targets, segment.weight)
        elif segment.kind == "kl":
            total += _divergence_to_gradient_(rows, targets, segment.weight, segment.temperature)
        else:
            total += _squared_difference_to_gradient_(rows, targets, segment.weight)
    return total


def _cross_entropy_to_gradient_(logits: Tensor, labels: Tensor, weight: float) -> Tensor:
    """CE = -log softmax(logits)[label]; d CE / d logits = softmax(logits) - onehot(label)."""
    log_student = F.log_softmax(logits, dim=-1, dtype=torch.float32)
    at_label = labels[:, None]
    loss = -log_student.gather(1, at_label).sum()
    gradient = log_student.exp_()
    gradient.scatter_add_(1, at_label, gradient.new_full(at_label.shape, -1.0))
    logits.copy_(gradient.mul_(weight))
    return loss


def _divergence_to_gradient_(
    logits: Tensor, teacher: Tensor, weight: float, temperature: float
) -> Tensor:
    """Overwrite `logits` with `weight` times the gradient, T (softmax(logits/T) -
    softmax(teacher/T)). Return the unweighted loss, summed over tokens:
    T^2 KL(softmax(teacher/T) || softmax(logits/T)). Hinton et al. 2015, section 2."""
    log_student = F.log_softmax(logits.float() / temperature, dim=-1)
    log_teacher = F.log_softmax(teacher.float() / temperature, dim=-1)
    probabilities = log_teacher.exp()
    log_teacher -= log_student
    loss = temperature**2 * torch.dot(probabilities.flatten(), log_teacher.flatten())
    logits.copy_(log_student.exp_().sub_(probabilities).mul_(weight * temperature))
    return loss


def _squared_difference_to_gradient_(logits: Tensor, stored: Tensor, weight: float) -> Tensor:
    """MSE = mean over V of (logits - stored)^2; d MSE / d logits = 2 (logits - stored) / V.

    Buzzega et al. 2020, equation 6, has a squared norm; the mean is that of the authors' code."""
    difference = logits.float() - stored.float()
    loss = torch.dot(difference.flatten(), difference.flatten()) / logits.shape[1]
    logits.copy_(difference.mul_(2 * weight / logits.shape[1]))
    return loss
