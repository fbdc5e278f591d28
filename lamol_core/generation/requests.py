"""Which pseudo-samples are still to be drawn, and the task of a drawn one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lamol_core.generation.params import GenerateParams
from lamol_core.generation.selection import even_quotas
from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise

DRAWS_FOR_BALANCE = 10
"""Draws for each row wanted, at most, while labels are short of their even share: a label that the
teacher has forgotten never comes."""


@dataclass(frozen=True)
class Request:
    """So many rows of an earlier task, prompted with its token."""

    source_task: str
    gen_token: int
    count: int
    labels: frozenset[str] = frozenset()
    """The task's labels, normalised; empty where its targets are free text."""
    carried: Counter[str] = field(default_factory=Counter, compare=False)
    """Rows of each label that are used again beside those: labels are balanced over both."""


Draw = tuple[Request, int]
"""One draw: its request, and its index among that request's draws."""


class DrawingPlan:
    """The draws of each attempt.

    A rejected draw is repeated, `max_attempts` draws at most. With `known_labels` a row counts for
    the task of its label: all draws of a task with labels are repeated while it has too few rows,
    until all tasks together have used up their attempts. With `balance_labels` they are repeated
    too while a label has less than its even share, up to DRAWS_FOR_BALANCE.
    """

    def __init__(self, requests: Sequence[Request], params: GenerateParams) -> None:
        self._requests, self._params = requests, params
        self._attempts = params.max_attempts if params.refill else 1
        self._budget = self._attempts * len(self.all_draws())
        wanted = sum(request.count for request in requests)
        self._balance_budget = min(self._attempts, DRAWS_FOR_BALANCE) * wanted

    def all_draws(self) -> list[Draw]:
        return [draw for request in self._requests for draw in self._draws(request)]

    def next_draws(
        self,
        last: Sequence[Draw],
        drawn: Sequence[PseudoSample],
        samples: Sequence[PseudoSample],
        attempt: int,
    ) -> list[Draw]:
        """The draws after this attempt, in which the draws `last` gave `drawn`; `samples` are all
        so far."""
        labels: dict[str, Counter[str]] = {r.source_task: Counter() for r in self._requests}
        for sample in samples:
            if sample.valid:
                labels[sample.source_task][normalise(sample.target)] += 1
        draws = [
            draw
            for request in self._requests
            if self._counts_by_label(request)
            and self._is_short(request, labels[request.source_task], len(samples))
            for draw in self._draws(request)
        ]
        if attempt < self._attempts:
            draws += [
                draw
                for draw, sample in zip(last, drawn, strict=True)
                if not (sample.valid or self._counts_by_label(draw[0]))
            ]
        return draws

    def _counts_by_label(self, request: Request) -> bool:
        return self._params.known_labels and bool(request.labels)

    def _is_short(self, request: Request, valid: Counter[str], num_drawn: int) -> bool:
        if valid.total() < request.count:
            return num_drawn < self._budget
        if not self._params.balance_labels or num_drawn >= self._balance_budget:
            return False
        carried, found = request.carried, valid + request.carried
        quotas = even_quotas(dict.fromkeys(request.labels, request.count), request.count, carried)
        # how many rows every label can have at least, carried ones included
        level = min(carried[label] + quota for label, quota in quotas.items())
        return any(found[label] < level for label in request.labels)

    def _draws(self, request: Request) -> list[Draw]:
        return [(request, index) for index in range(request.count * self._params.draws_per_row)]


def assigned(sample: PseudoSample, requests: Sequence[Request]) -> PseudoSample:
    """A valid sample as one of the task that has its label; its prompt's own task comes first.
    Rejected where no task has the label, or several others have it."""
    label = normalise(sample.target)
    labels_by_task = {request.source_task: request.labels for request in requests}
    own = labels_by_task[sample.source_task]
    if not sample.valid or not own or label in own:
        return sample
    owners = [task for task, labels in labels_by_task.items() if label in labels]
    if len(owners) == 1:
        return replace(sample, source_task=owners[0])
    return rejected(sample, "ambiguous_label" if owners else "unknown_label")


def rejected(sample: PseudoSample, reason: str) -> PseudoSample:
    return replace(sample, valid=False, reject_reason=reason)
