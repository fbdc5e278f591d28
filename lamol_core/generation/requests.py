"""Decide which pseudo-samples are still to be drawn, and which task a drawn one belongs to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lamol_core.generation.params import GenerateParams
from lamol_core.generation.selection import even_quotas
from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise
from lamol_core.text.template import ControlTokens

DRAWS_FOR_BALANCE = 10
"""The most draws per wanted row while labels have less than their even share. There is a limit
because a label that the teacher has forgotten never comes."""


@dataclass(frozen=True)
class Request:
    """A request for `count` rows of an earlier task, which are drawn with its GEN token."""

    source_task: str
    gen_token: int
    count: int
    labels: frozenset[str] = frozenset()
    """The task's normalised labels; empty where its targets are free text."""
    carried: Counter[str] = field(default_factory=Counter, compare=False)
    """The number of carried rows of each label. Labels are balanced over carried and drawn rows."""
    targets: tuple[tuple[int, ...], ...] = ()
    """The ids of each wanted row's label, which its prompt names; empty where the teacher writes
    the targets too."""

    def prompt(self, index: int, control: ControlTokens) -> list[int]:
        """The ids that a draw continues: GEN_t, or GEN_t, the label and GEN."""
        target = self.target_of(index)
        return [self.gen_token, *target, *([control.gen] if target else ())]

    def target_of(self, index: int) -> tuple[int, ...]:
        """The ids of the label that a draw is prompted with; () where it is not."""
        return self.targets[index % len(self.targets)] if self.targets else ()


Draw = tuple[Request, int]
"""One draw: its request, and its index among the draws of this request."""


class DrawingPlan:
    """Decides what each attempt draws. The first makes all draws; later ones repeat rejected draws,
    up to `max_attempts`.

    With `known_labels` a task with labels instead repeats all its draws while it has too few rows
    (with `balance_labels`: too few of any label). All tasks share a limit on the number of draws.
    """

    def __init__(self, requests: Sequence[Request], params: GenerateParams) -> None:
        self._requests, self._params = requests, params
        self._attempts = params.max_attempts if params.refill else 1
        wanted = sum(request.count for request in requests)
        self._budget = self._attempts * wanted * params.draws_per_row
        self._balance_budget = min(self._attempts, DRAWS_FOR_BALANCE) * wanted

    def draws(self, samples: Sequence[PseudoSample], attempt: int) -> list[Draw]:
        """The draws of an attempt (from 1); [] where nothing is left to draw. `samples`: the
        results of all earlier attempts."""
        valid = {(s.source_task, s.gen_index) for s in samples if s.valid}
        by_label: list[Draw] = []
        others: list[Draw] = []
        for request in self._requests:
            task, size = request.source_task, request.count * self._params.draws_per_row
            draws = [(request, index) for index in range(size)]
            if attempt == 1:
                others += draws
            elif self._params.known_labels and request.labels and not request.targets:
                by_label += draws if self._is_short(request, samples) else []
            elif attempt <= self._attempts:
                others += [draw for draw in draws if (task, draw[1]) not in valid]
        return by_label + others

    def _is_short(self, request: Request, samples: Sequence[PseudoSample]) -> bool:
        valid = [s for s in samples if s.valid and s.source_task == request.source_task]
        if len(valid) < request.count:
            return len(samples) < self._budget
        if not self._params.balance_labels or len(samples) >= self._balance_budget:
            return False
        found = Counter(normalise(s.target) for s in valid) + request.carried
        sizes = dict.fromkeys(request.labels, request.count)
        quotas = even_quotas(sizes, request.count, request.carried)
        # the number of rows, carried ones included, that every label can reach
        level = min(request.carried[label] + quota for label, quota in quotas.items())
        return any(found[label] < level for label in request.labels)


def assigned(sample: PseudoSample, requests: Sequence[Request]) -> PseudoSample:
    """Give a valid sample to the task that has its label: first to the task it was prompted for,
    else to the only other task with it. A sample whose label no task or several others have is
    rejected."""
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
