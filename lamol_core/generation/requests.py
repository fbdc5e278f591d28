"""Which pseudo-samples are wanted, and which of them are still to be drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamol_core.generation.params import GenerateParams
from lamol_core.records import PseudoSample


@dataclass(frozen=True)
class Request:
    """A request for `count` rows of an earlier task."""

    source_task: str
    count: int
    targets: tuple[tuple[int, ...], ...] = ()
    """The ids of each wanted row's label, which its prompt names; empty where the teacher writes
    the targets too."""
    num_answers: tuple[int, ...] = ()
    """How many answers each wanted row has; empty where all have one."""

    def target_of(self, index: int) -> tuple[int, ...]:
        """The ids of the label that a draw is prompted with; () where it is not."""
        return self.targets[index] if self.targets else ()

    def num_answers_of(self, index: int) -> int:
        """How many answers a draw is to have."""
        return self.num_answers[index] if self.num_answers else 1


Draw = tuple[Request, int]
"""One draw: its request, and its index among the draws of this request."""


def draws_of_attempt(
    requests: Sequence[Request],
    samples: Sequence[PseudoSample],
    attempt: int,
    params: GenerateParams,
) -> list[Draw]:
    """The draws of an attempt (from 1); [] where nothing is left to draw. The first attempt makes
    all draws, later ones repeat rejected draws. `samples`: the results of all earlier attempts."""
    if attempt > (params.max_attempts if params.refill else 1):
        return []
    valid = {(s.source_task, s.gen_index) for s in samples if s.valid}
    every = [(request, index) for request in requests for index in range(request.count)]
    return [draw for draw in every if (draw[0].source_task, draw[1]) not in valid]
