"""The loss of a micro-batch: which tokens each term of a method's loss takes, and from where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lamol_core.methods.losses import Segment, losses_of_hidden, losses_of_logits
from lamol_core.methods.terms import Loss, Term
from lamol_core.models.head import LinearHead
from lamol_core.records import Origin, View
from lamol_core.training.batches import IGNORED, Member, MicroBatch

Counts = Mapping[tuple[View, Origin], int]
StudentStates = Callable[[MicroBatch, Tensor], Tensor]
"""From a micro-batch and the places (N,) of tokens in it to their states (N, d), or their logits
where the head is no matrix."""


class TeacherStates(Protocol):
    """Where the teacher's side of a divergence comes from: its model, or what it left on disk."""

    head: LinearHead | None
    """What its states go through; None where they are logits already."""

    def states(self, micro: MicroBatch, shift: int) -> Tensor:
        """(N, d) for all supervised tokens of a micro-batch, in their order, taken `shift` before
        each."""
        ...


@dataclass(frozen=True)
class BatchLoss:
    """What a micro-batch adds to the loss of its batch."""

    total: Tensor
    """(), on the graph."""
    term_means: Tensor
    """(terms,), detached: what it adds to the mean of each term, in nats."""


def losses_of(
    micro: MicroBatch,
    loss: Loss,
    counts: Counts,
    student: StudentStates,
    head: LinearHead | None,
    teacher: TeacherStates | None,
    recalled: TeacherStates | None = None,
) -> BatchLoss:
    """One forward of the student for all terms.

    `counts` are the denominators, those of the whole optimizer batch: the loss does not depend on
    how it is cut. kl terms are held to the `teacher`, mse terms to what a memory has `recalled`.
    """
    places, segments, num_in_batch = [], [], []
    taught = _taught_tokens(micro, loss.of_kind("kl"), teacher)
    taught |= _taught_tokens(micro, loss.of_kind("mse"), recalled)
    for weight, term in loss.parts:
        members = _members(micro, term)
        tokens = supervised_tokens(micro, members)
        total = sum(counts.get((term.view, origin), 0) for origin in term.counted)
        places.append(tokens - term.shift)
        num_in_batch.append(max(total, 1))
        segments.append(
            Segment(
                term.kind,
                weight / num_in_batch[-1],
                len(tokens),
                labels=micro.labels[tokens] if term.kind == "ce" else None,
                teacher=taught.get(term),
                temperature=term.temperature,
            )
        )
    states = student(micro, torch.cat(places))
    filled = [segment for segment in segments if segment.num_tokens]
    if head is None:
        computed = losses_of_logits(states, filled)
    else:
        computed = losses_of_hidden(states, head, filled)
    sums = states.new_zeros(len(segments), dtype=torch.float32)
    is_filled = torch.tensor([bool(s.num_tokens) for s in segments], device=sums.device)
    sums[is_filled] = computed.sums
    return BatchLoss(computed.total, sums / sums.new_tensor(num_in_batch))


def supervised_tokens(micro: MicroBatch, members: tuple[Member, ...]) -> Tensor:
    """Where the supervised tokens of these members stand in the micro-batch, (n,)."""
    return ((micro.labels != IGNORED) & micro.tokens_of(members)).nonzero()[:, 0]


def _members(micro: MicroBatch, *terms: Term) -> tuple[Member, ...]:
    return tuple(
        member
        for member in micro.members
        if any(member.view == term.view and member.origin in term.origins for term in terms)
    )


def _taught_tokens(
    micro: MicroBatch, terms: tuple[Term, ...], teacher: TeacherStates | None
) -> dict[Term, _LogitsOf]:
    """How each of these terms' segments asks for the logits it is held to: one pass for all."""
    members = _members(micro, *terms)
    if not members or not micro.counts:  # the row of an idle process is nobody's
        return {}
    assert teacher is not None, "a loss that distils needs a teacher where there are such rows"
    shifts = {term.shift for term in terms}
    assert len(shifts) == 1, "all divergences of a loss are aligned alike"
    alone = micro.only(members)
    states = teacher.states(alone, shifts.pop())
    supervised = supervised_tokens(alone, members)
    taught = {}
    for term in terms:
        of_term = alone.tokens_of(_members(alone, term))[supervised]
        taught[term] = _LogitsOf(states[of_term], teacher.head)
    return taught


class _LogitsOf:
    """The teacher's logits of a segment's tokens, a few at a time."""

    def __init__(self, states: Tensor, head: LinearHead | None) -> None:
        self._states, self._head = states, head

    def __call__(self, start: int, stop: int) -> Tensor:
        states = self._states[start:stop]
        return states if self._head is None else self._head.logits(states)
