"""Losses as pure functions of logits, one number a row, and the groups that take their means."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lamol_core.records import View


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


def supervised_positions(labels: Tensor, shift: int) -> Tensor:
    """Where the logits of each supervised label stand: (row, column) pairs, shape (N, 2).

    `labels` (B, L) is -100 where nothing is supervised. A causal model tells the token at column t
    by its logits at t - 1, so `shift` is 1; 0 takes them at t itself (the published fault).
    """
    found = (labels != -100).nonzero()
    return found - torch.tensor([0, shift], device=labels.device)


class TokenGroup:
    """The supervised tokens of one view and one origin in a micro-batch.

    `student` (N, V) logits, `labels` (N,), `teacher` (N, V) or None; `num_in_batch` counts the
    tokens of the same view and origin in the whole optimizer batch, over all its micro-batches
    and processes: sums are divided by it, so the loss does not depend on how the batch is cut.
    """

    def __init__(
        self, student: Tensor, labels: Tensor, num_in_batch: int, teacher: Tensor | None = None
    ) -> None:
        self.student, self.labels, self.teacher = student, labels, teacher
        self.num_in_batch = num_in_batch

    def cross_entropy(self) -> Tensor:
        """This micro-batch's share of the batch's mean cross-entropy, in nats."""
        return cross_entropy_per_token(self.student, self.labels).sum() / self.num_in_batch

    def divergence(self, temperature: float) -> Tensor:
        """This micro-batch's share of the batch's mean T^2 KL(teacher || student), in nats."""
        assert self.teacher is not None, "a method that distils must say needs_teacher"
        return kl_per_token(self.student, self.teacher, temperature).sum() / self.num_in_batch


class TokenBatch:
    """All groups of a micro-batch. A group without tokens contributes 0."""

    def __init__(self, groups: dict[tuple[View, str], TokenGroup], like: Tensor) -> None:
        self._groups = groups
        # a zero that hangs on the graph: backward works on a micro-batch without any term
        self._zero = like.sum() * 0.0

    def cross_entropy(self, view: View, *origins: str) -> Tensor:
        """Mean cross-entropy of a view over the rows of these origins together."""
        groups = [self._groups[view, o] for o in origins if (view, o) in self._groups]
        return sum((group.cross_entropy() for group in groups), self._zero)

    def divergence(self, view: View, origin: str, temperature: float) -> Tensor:
        """Mean T^2 KL(teacher || student) of a view over the rows of an origin."""
        group = self._groups.get((view, origin))
        return self._zero if group is None else group.divergence(temperature)
