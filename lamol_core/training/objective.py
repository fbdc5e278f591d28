"""The loss of a micro-batch: it finds the tokens of each term and their targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lamol_core.methods.losses import Segment, losses_of_states
from lamol_core.methods.terms import Kind, Loss, Term
from lamol_core.models.head import LinearHead
from lamol_core.records import Origin, View
from lamol_core.text.encoded import IGNORED, EncodedView
from lamol_core.training.batches import MicroBatch
from lamol_core.training.teacher.interface import Teacher


class BatchLosses(NamedTuple):
    """Losses in nats. `total`: the weighted loss (), on the autograd graph. `means` (terms,): the
    mean of each term, detached."""

    total: Tensor
    means: Tensor


def losses_of(
    micro: MicroBatch,
    loss: Loss,
    denominators: Mapping[tuple[View, Origin], int],
    student: Callable[[MicroBatch, Tensor], Tensor],
    head: LinearHead | None,
    teachers: Mapping[Kind, Teacher],
) -> BatchLosses:
    """One forward of the student for all terms. The results are this micro-batch's shares of the
    batch's loss and term means.

    The shares of all micro-batches add up to the values of the optimizer batch. `student` maps
    positions (N,) to states (N, d), or to logits (N, V) where `head` is None. `denominators`: the
    supervised tokens of the whole optimizer batch, so that the loss does not depend on how it is
    cut. `teachers`: a teacher for each kind of term that needs one."""
    teacher_states: dict[Term, Tensor] = {}
    for kind, teacher in teachers.items():
        teacher_states |= _teacher_states(micro, loss.of_kind(kind), teacher)
    positions, segments, term_denominators = [], [], []
    for weight, term in loss.parts:
        tokens = supervised_tokens(micro, _members(micro, term))
        is_distilled = term in teacher_states
        assert is_distilled or term.kind == "ce" or not len(tokens), f"{term.kind}: no teacher"
        denominator = sum(denominators.get((term.view, origin), 0) for origin in term.mean_over)
        term_denominators.append(max(denominator, 1))
        positions.append(tokens - term.shift)
        segments.append(
            Segment(
                term.kind,
                weight / term_denominators[-1],
                teacher_states[term] if is_distilled else micro.labels[tokens],
                teachers[term.kind].head if is_distilled else None,
                term.temperature,
            )
        )
    computed = losses_of_states(student(micro, torch.cat(positions)), head, segments)
    means = computed.sums / computed.sums.new_tensor(term_denominators)
    return BatchLosses(computed.total, means)


def supervised_tokens(micro: MicroBatch, members: Sequence[EncodedView]) -> Tensor:
    """The positions (n,) of these members' supervised tokens in the micro-batch."""
    return ((micro.labels != IGNORED) & micro.tokens_of(members)).nonzero()[:, 0]


def _members(micro: MicroBatch, *terms: Term) -> list[EncodedView]:
    kinds = {(term.view, origin) for term in terms for origin in term.origins}
    return [member for member in micro.members if (member.view, member.origin) in kinds]


def _teacher_states(
    micro: MicroBatch, terms: Sequence[Term], teacher: Teacher
) -> dict[Term, Tensor]:
    """The teacher's states for the tokens of each term, from one forward for all terms; {} without
    such tokens."""
    members = _members(micro, *terms)
    if not any(member.num_supervised for member in members):
        return {}
    shifts = {term.shift for term in terms}
    assert len(shifts) == 1, "all divergences of a loss are aligned alike"
    part = micro.only(members)
    states = teacher.states(part, shifts.pop())
    return {term: states[part.tokens_of(_members(part, term))[part.supervised]] for term in terms}
