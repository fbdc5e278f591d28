"""The control tokens of a row (x, y), and cutting x so that the row fits."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamol_core.errors import ConfigError
from lamol_core.records import View

ANS = "<|lamol:ans|>"
"""The name of ANS in a checkpoint's tokenizer."""
NUM_CONTROL: dict[View, int] = {"qa": 2, "gen": 3}
"""How many control tokens a view has. QA: ANS and EOS. GEN: GEN_t, ANS and EOS."""


@dataclass(frozen=True)
class ControlTokens:
    """The ids of the reserved tokens. `gen_by_task[i]` is GEN_t of the i-th task learnt, from 0."""

    ans: int
    eos: int
    pad: int
    gen: int
    gen_by_task: tuple[int, ...]

    def gen_for(self, task_index: int, task_specific: bool) -> int:
        """The id of GEN_t of the task with this index in the order of learning; the shared GEN
        unless `task_specific`. Raises ConfigError where the task has no reserved token."""
        if not task_specific:
            return self.gen
        if task_index >= len(self.gen_by_task):
            raise ConfigError(
                f"params.yaml: backbone.max_tasks is {len(self.gen_by_task)}, but this is task "
                f"number {task_index + 1} of its sequence. Raise it: the backbone is made again."
            )
        return self.gen_by_task[task_index]

    @property
    def never_in_text(self) -> tuple[int, ...]:
        """The ids that neither x nor y may hold: PAD and all GEN tokens."""
        return (self.pad, self.gen, *self.gen_by_task)


def cut_input(
    x: Sequence[int], y: Sequence[int], max_length: int, row_id: str
) -> tuple[Sequence[int], bool]:
    """Cut x so that the GEN view fits `max_length` tokens; returns x, and whether it was cut.

    The end of x is kept, because questions stand there. y is never cut: raises ConfigError, which
    names the row, where y alone does not fit."""
    room = max_length - len(y) - NUM_CONTROL["gen"]
    if room < 1:
        raise ConfigError(
            f"params.yaml: text.max_length = {max_length}: the target of row {row_id} has "
            f"{len(y)} tokens and needs {len(y) + NUM_CONTROL['gen'] + 1}. Raise it: targets are "
            "never cut."
        )
    return (x, False) if len(x) <= room else (x[len(x) - room :], True)
