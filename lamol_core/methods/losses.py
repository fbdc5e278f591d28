"""The losses of tokens, twice: plainly, from logits, and fused with the head that makes the logits.

The fused form never holds the logits of all tokens: a few rows at a time go through the head, give
their loss, become its gradient in place, and go back through the head. Its backward is written by
hand; autograd would keep every row's logits and probabilities until then.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from lamol_core.methods.terms import Kind
from lamol_core.models.head import LinearHead

CHUNK_BYTES = 64 * 2**20
"""Logits of a chunk, which goes through the head at once: large enough for matrix products."""
IN_CACHE_BYTES = 2 * 2**20
"""fp32 logits of the rows that are worked on at once: what a processor's cache holds."""


def cross_entropy_per_token(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits)[label] per row, in nats. Inputs (N, V) and (N,), result (N,)."""
    return F.cross_entropy(logits, labels, reduction="none")


def kl_per_token(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(teacher || student) per row, in nats. Inputs (N, V) each, result (N,).

    Raises ValueError when the shapes differ. Hinton et al. 2015, section 2.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    log_student = F.log_softmax(student / temperature, dim=-1)
    log_teacher = F.log_softmax(teacher / temperature, dim=-1)
    divergence = F.kl_div(log_student, log_teacher, reduction="none", log_target=True)
    return temperature**2 * divergence.sum(dim=-1)


def squared_difference_per_token(student: Tensor, stored: Tensor) -> Tensor:
    """mean over V of (student - stored)^2 per row. Inputs (N, V) each, result (N,).

    Buzzega et al. 2020, equation 6, with the mean that their code takes for the squared norm."""
    return (student - stored).square().mean(dim=-1)


@dataclass(frozen=True)
class Segment:
    """Neighbouring tokens of one term: their loss is `weight` times the sum over them.

    ce needs `labels` (n,). kl at `temperature` and mse need `teacher(start, stop)`, which gives
    the logits (stop - start, V) that these of its tokens are held to.
    """

    kind: Kind
    weight: float
    num_tokens: int
    labels: Tensor | None = None
    teacher: Callable[[int, int], Tensor] | None = None
    temperature: float = 1.0


@dataclass(frozen=True)
class TokenLosses:
    """The loss of a micro-batch, and the sum over its tokens of each segment's loss, in nats."""

    total: Tensor
    """(), on the graph."""
    sums: Tensor
    """(segments,), detached, without the weights."""


def losses_of_logits(logits: Tensor, segments: Sequence[Segment]) -> TokenLosses:
    """The plain form, for logits (N, V) of the segments' tokens one after the other."""
    sums = logits.new_zeros(len(segments), dtype=torch.float32)
    start, total = 0, logits.sum() * 0.0  # hangs on the graph where there is no token
    for place, segment in enumerate(segments):
        if not segment.num_tokens:
            continue
        part = logits[start : start + segment.num_tokens].float()
        if segment.kind == "ce":
            assert segment.labels is not None
            loss = cross_entropy_per_token(part, segment.labels).sum()
        else:
            assert segment.teacher is not None
            wanted = segment.teacher(0, segment.num_tokens).float()
            if segment.kind == "kl":
                loss = kl_per_token(part, wanted, segment.temperature).sum()
            else:
                loss = squared_difference_per_token(part, wanted).sum()
        sums[place] = loss.detach()
        total, start = total + segment.weight * loss, start + segment.num_tokens
    return TokenLosses(total, sums)


def losses_of_hidden(hidden: Tensor, head: LinearHead, segments: Sequence[Segment]) -> TokenLosses:
    """The fused form, for hidden states (N, d): the loss and gradients of the plain form on
    `head.logits(hidden)`, to float order, in memory that does not grow with N times V."""
    total, sums = _FusedLosses.apply(hidden, head.weight, head.bias, segments)
    return TokenLosses(total, sums)


class _FusedLosses(torch.autograd.Function):
    """Losses and gradients in one pass: a loss is linear in its terms, so its weights are known."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, segments: Sequence[Segment]
    ) -> tuple[Tensor, Tensor]:
        head = LinearHead(weight, bias)
        wants_gradient = any(ctx.needs_input_grad)
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        grad_bias = None if bias is None else torch.zeros_like(bias)
        sums = hidden.new_zeros(len(segments), dtype=torch.float32)
        num_tokens = sum(segment.num_tokens for segment in segments)
        size = max(CHUNK_BYTES // (weight.shape[0] * weight.element_size()), 1)
        for start in range(0, num_tokens, size):
            rows = hidden[start : start + size]
            logits = head.logits(rows)
            for place, segment, first, part in _parts(segments, start, logits):
                sums[place] += _loss_to_gradient_(part, segment, first)
            if not wants_gradient:
                continue
            torch.mm(logits, weight, out=grad_hidden[start : start + size])
            grad_weight.addmm_(logits.T, rows)
            if grad_bias is not None:
                grad_bias += logits.sum(dim=0)
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        ctx.mark_non_differentiable(sums)
        weights = torch.tensor([segment.weight for segment in segments], device=sums.device)
        return (weights * sums).sum(), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor, grad_sums: Tensor) -> tuple[Any, ...]:
        gradients = ctx.saved_tensors
        if grad_total != 1:
            gradients = [None if g is None else g.mul_(grad_total) for g in gradients]
        return (*gradients, None)


def _parts(
    segments: Sequence[Segment], start: int, logits: Tensor
) -> Iterator[tuple[int, Segment, int, Tensor]]:
    """The segments that a chunk from token `start` on touches: place, segment, the first of its
    tokens, and the chunk's logits of them."""
    offset, stop = 0, start + len(logits)
    for place, segment in enumerate(segments):
        first, last = max(offset, start), min(offset + segment.num_tokens, stop)
        if first < last:
            yield place, segment, first - offset, logits[first - start : last - start]
        offset += segment.num_tokens


def _loss_to_gradient_(logits: Tensor, segment: Segment, first: int) -> Tensor:
    """Write the weighted gradient over logits (n, V); give the sum of the tokens' losses ().

    A few rows at a time, so that they are in the processor's cache from softmax to gradient.
    """
    teacher = None
    if segment.teacher is not None:
        teacher = segment.teacher(first, first + len(logits))
    size = max(IN_CACHE_BYTES // (4 * logits.shape[1]), 1)
    total = logits.new_zeros((), dtype=torch.float32)
    for start in range(0, len(logits), size):
        rows = logits[start : start + size]
        if segment.kind == "ce":
            assert segment.labels is not None
            labels = segment.labels[first + start : first + start + len(rows)]
            total += _cross_entropy_to_gradient_(rows, labels, segment.weight)
            continue
        assert teacher is not None
        wanted = teacher[start : start + size]
        if segment.kind == "kl":
            total += _divergence_to_gradient_(rows, wanted, segment.weight, segment.temperature)
        else:
            total += _squared_difference_to_gradient_(rows, wanted, segment.weight)
    return total


def _cross_entropy_to_gradient_(logits: Tensor, labels: Tensor, weight: float) -> Tensor:
    """d CE / d logits = softmax(logits) - [label]."""
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
    """d (T^2 KL) / d logits = T (softmax(logits/T) - softmax(teacher/T))."""
    log_student = F.log_softmax(logits.float() / temperature, dim=-1)
    log_teacher = F.log_softmax(teacher.float() / temperature, dim=-1)
    wanted = log_teacher.exp()
    log_teacher -= log_student
    loss = temperature**2 * torch.dot(wanted.flatten(), log_teacher.flatten())
    logits.copy_(log_student.exp_().sub_(wanted).mul_(weight * temperature))
    return loss


def _squared_difference_to_gradient_(logits: Tensor, stored: Tensor, weight: float) -> Tensor:
    """d MSE / d logits = 2 (logits - stored) / V."""
    difference = logits.float() - stored.float()
    loss = torch.dot(difference.flatten(), difference.flatten()) / logits.shape[1]
    logits.copy_(difference.mul_(2 * weight / logits.shape[1]))
    return loss
