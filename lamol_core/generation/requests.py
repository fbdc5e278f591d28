"""Which pseudo-samples are still to be drawn, and whose a drawn one is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lamol_core.generation.params import GenerateParams
from lamol_core.generation.selection import even_quotas
from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise

DRAWS_FOR_BALANCE = 10
"""Draws for each row wanted, at the most, while labels are short of their even share: a label that
the teacher has forgotten never comes."""


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


Place = tuple[Request, int]
"""A row that is wanted: its request, and which of that request's rows."""


class DrawingPlan:
    """Draws left for the rows that are wanted.

    A place whose draw was rejected is drawn again, `max_attempts` draws at the most. Where rows
    count for the task of their label, all places of every task that has fewer rows than are wanted
    are, until all tasks together have had as many draws. With `balance_labels` so is a task in
    which a label has less than its even share, for DRAWS_FOR_BALANCE.
    """

    def __init__(self, requests: Sequence[Request], params: GenerateParams) -> None:
        self._requests, self._draws_per_row = requests, params.draws_per_row
        self._attempts = params.max_attempts if params.refill else 1
        self._by_label = {one for one in requests if params.known_labels and one.labels}
        self._budget = self._attempts * len(self.all_places())
        self._balances = params.balance_labels
        wanted = sum(request.count for request in requests)
        self._balance_budget = min(self._attempts, DRAWS_FOR_BALANCE) * wanted

    def all_places(self) -> list[Place]:
        return [place for request in self._requests for place in self._places(request)]

    def missing(
        self,
        wanted: Sequence[Place],
        drawn: Sequence[PseudoSample],
        samples: Sequence[PseudoSample],
        attempt: int,
    ) -> list[Place]:
        """The places to draw next, after `drawn` came of `wanted` in the attempt of this number;
        `samples` are all so far."""
        labels: dict[str, Counter[str]] = {one.source_task: Counter() for one in self._requests}
        for sample in samples:
            if sample.valid:
                labels[sample.source_task][normalise(sample.target)] += 1
        short = [
            place
            for request in self._requests
            if request in self._by_label
            and self._is_short(request, labels[request.source_task], len(samples))
            for place in self._places(request)
        ]
        again = [
            place
            for place, sample in zip(wanted, drawn, strict=True)
            if not sample.valid and place[0] not in self._by_label
        ]
        return short + (again if attempt < self._attempts else [])

    def _is_short(self, request: Request, valid: Counter[str], num_drawn: int) -> bool:
        if valid.total() < request.count:
            return num_drawn < self._budget
        if not self._balances or num_drawn >= self._balance_budget:
            return False
        carried, have = request.carried, valid + request.carried
        quotas = even_quotas(dict.fromkeys(request.labels, request.count), request.count, carried)
        # how many rows every label can have at the least, those carried over among them
        level = min(carried[label] + quota for label, quota in quotas.items())
        return any(have[label] < level for label in request.labels)

    def _places(self, request: Request) -> list[Place]:
        return [(request, index) for index in range(request.count * self._draws_per_row)]


def credited(sample: PseudoSample, requests: Sequence[Request]) -> PseudoSample:
    """A sample as one of the task that has its label: its prompt's own where that has it. Rejected
    where no task has, or several others."""
    label = normalise(sample.target)
    by_task = {request.source_task: request for request in requests}
    own = by_task[sample.source_task]
    if not sample.valid or not own.labels or label in own.labels:
        return sample
    owners = [name for name, request in by_task.items() if label in request.labels]
    if len(owners) == 1:
        return replace(sample, source_task=owners[0])
    return rejected(sample, "ambiguous_label" if owners else "unknown_label")


def rejected(sample: PseudoSample, reason: str) -> PseudoSample:
    return replace(sample, valid=False, reject_reason=reason)
