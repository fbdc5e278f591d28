"""The control tokens of a row (x, y), and the length of x that leaves room for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamol_core.errors import ConfigError
from lamol_core.records import View

ANS = "<|lamol:ans|>"
"""The name of ANS in a checkpoint's tokenizer."""
NUM_CONTROL: dict[View, int] = {"qa": 2, "gen": 3}
"""Control tokens in a view: ANS and EOS, and GEN_t before the second."""


@dataclass(frozen=True)
class ControlTokens:
    """Ids of the reserved tokens. `gen_by_task[i]` is GEN_t of the i-th task learnt."""

    ans: int
    eos: int
    pad: int
    gen: int
    gen_by_task: tuple[int, ...]

    def gen_for(self, task_index: int, task_specific: bool) -> int:
        """GEN_t, or the shared GEN. Raises ConfigError when no token was reserved for the task."""
        if not task_specific:
            return self.gen
        if task_index >= len(self.gen_by_task):
            raise ConfigError(
                f"params.yaml: backbone.max_tasks is {len(self.gen_by_task)}, but this is task "
                f"number {task_index + 1} of its sequence. Raise it: the backbone is made anew."
            )
        return self.gen_by_task[task_index]

    @property
    def never_in_text(self) -> tuple[int, ...]:
        """Ids that neither x nor y may hold."""
        return (self.pad, self.gen, *self.gen_by_task)


def cut_input(
    x: Sequence[int], y: Sequence[int], max_length: int, row_id: str
) -> tuple[Sequence[int], bool]:
    """x so short that the longest view fits `max_length`, and whether it was cut.

    The end of x is kept, since questions are there, and all of y. Raises ConfigError, which names
    the row, when y alone does not fit.
    """
    room = max_length - len(y) - NUM_CONTROL["gen"]
    if room < 1:
        raise ConfigError(
            f"params.yaml: text.max_length = {max_length}: the target of row {row_id} has "
            f"{len(y)} tokens and needs {len(y) + NUM_CONTROL['gen'] + 1}. Raise it: targets are "
            "never cut."
        )
    return (x, False) if len(x) <= room else (x[len(x) - room :], True)
