"""The loss of a micro-batch: which tokens each term of a method's loss takes, and from where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from lamol_core.methods.losses import Segment, TokenLosses, losses_of_hidden, losses_of_logits
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


def losses_of(
    micro: MicroBatch,
    loss: Loss,
    counts: Counts,
    student: StudentStates,
    head: LinearHead | None,
    teacher: TeacherStates | None,
    recalled: TeacherStates | None = None,
) -> TokenLosses:
    """One forward of the student for all terms: what they add to the loss of the batch, and, for
    sums, to the mean of each.

    `counts` are the denominators, those of the whole optimizer batch: the loss does not depend on
    how it is cut. kl terms are held to the `teacher`, mse terms to what a memory has `recalled`.
    """
    places, segments, num_in_batch = [], [], []
    taught = _taught_tokens(micro, loss.of_kind("kl"), teacher)
    taught |= _taught_tokens(micro, loss.of_kind("mse"), recalled)
    for weight, term in loss.parts:
        members = _members(micro, term)
        tokens = supervised_tokens(micro, members)
        num_counted = sum(counts.get((term.view, origin), 0) for origin in term.counted)
        places.append(tokens - term.shift)
        num_in_batch.append(max(num_counted, 1))
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
    if head is None:
        computed = losses_of_logits(states, segments)
    else:
        computed = losses_of_hidden(states, head, segments)
    return TokenLosses(computed.total, computed.sums / computed.sums.new_tensor(num_in_batch))


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
) -> dict[Term, Callable[[int, int], Tensor]]:
    """How each of these terms' segments asks for the logits it is held to: one pass for all."""
    members = _members(micro, *terms)
    if not members or not micro.counts:  # the row of an idle process is nobody's
        return {}
    assert teacher is not None, "a loss that distils needs a teacher where there are such rows"
    shifts = {term.shift for term in terms}
    assert len(shifts) == 1, "all divergences of a loss are aligned alike"
    alone = micro.only(members)
    states = teacher.states(alone, shifts.pop())
    taught: dict[Term, Callable[[int, int], Tensor]] = {}
    for term in terms:
        of_term = alone.tokens_of(_members(alone, term))[alone.supervised]
        taught[term] = partial(_logits_of, states[of_term], teacher.head)
    return taught


def _logits_of(states: Tensor, head: LinearHead | None, start: int, stop: int) -> Tensor:
    """The teacher's logits of some of a segment's tokens."""
    return states[start:stop] if head is None else head.logits(states[start:stop])
