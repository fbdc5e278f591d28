"""How a row (x, y) becomes token sequences: the templates, and cutting x so that the row fits."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lamol_core.errors import ConfigError
from lamol_core.records import Origin, View
from lamol_core.text.encoded import EncodedRow, Part

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


class End(NamedTuple):
    """What ends a sequence: the `times`-th time that the id `token` is written."""

    token: int
    times: int = 1


@dataclass(frozen=True)
class TaskPrompts:
    """What the prompts of a sequence's tasks say."""

    tasks: Sequence[str] = ()
    """In the order of learning."""
    names_task: bool = True
    """Whether the prompt for drawing says which task the row is of."""
    target_first: Collection[str] = ()
    """The tasks whose prompt for drawing holds y."""
    systems: Mapping[str, str] = field(default_factory=dict)
    """The system message that the rows of a task of chat data share; "" without one."""


class RowTemplate(ABC):
    """How the rows of a sequence's tasks become token sequences.

    Every row is laid out as prompt, x, `end_of_input`, `header`, y, `end`. A model writes the ids
    after the prompt; the header is given to it."""

    end: int
    """The id that ends y."""
    end_of_input: int
    """The id that ends x where y follows."""
    end_of_lone_input: int
    """The id that ends x where y stands in the prompt."""
    header: tuple[int, ...] = ()
    """The ids between `end_of_input` and y."""
    pad: int
    never_in_text: Collection[int]
    """Ids that neither x nor y may hold, besides those that end them."""

    @abstractmethod
    def answer_prompt(self, x: Sequence[int], task: str = "") -> tuple[int, ...]:
        """The ids that an answer to x follows: all of the QA view before y. `task`: whose system
        message it has, if there is one."""

    @abstractmethod
    def draw_prompt(self, task: str, y: Sequence[int] = ()) -> tuple[int, ...]:
        """The ids that a pseudo-sample of a task follows. With `y` x alone is to follow."""

    def end_of_draw(self, has_target: bool) -> End:
        """What ends a drawn sample. `has_target`: whether its prompt holds y."""
        if has_target:
            return End(self.end_of_lone_input)
        return End(self.end, times=1 + (self.end == self.end_of_input))

    @abstractmethod
    def is_target_first(self, task: str) -> bool:
        """Whether the prompt of a task's rows holds their y."""

    def row(
        self, row_id: str, origin: Origin, task: str, x: Sequence[int], y: Sequence[int]
    ) -> EncodedRow:
        """A row with both views."""
        parts: Mapping[View, tuple[Part, ...]] = {
            "qa": ((self.answer_prompt(x, task), False), ((*y, self.end), True)),
            "gen": self._gen(task, x, y),
        }
        return EncodedRow(row_id, origin, task, x, y, parts)

    def num_around(self, task: str, y: Sequence[int]) -> int:
        """How many ids stand around x and y, in the longer one of a row's views."""
        views = self.row("", "new", task, (), y).parts.values()
        return max(sum(len(ids) for ids, _ in parts) for parts in views) - len(y)

    def _gen(self, task: str, x: Sequence[int], y: Sequence[int]) -> tuple[Part, ...]:
        if self.is_target_first(task):
            return (self.draw_prompt(task, y), False), ((*x, self.end_of_lone_input), True)
        return (
            (self.draw_prompt(task), False),
            ((*x, self.end_of_input), True),
            (self.header, False),
            ((*y, self.end), True),
        )


class TokenTemplate(RowTemplate):
    """Rows with reserved tokens.

    QA   x ANS y EOS          supervised: y EOS
    GEN  GEN_t x ANS y EOS    supervised: all after GEN_t
         GEN_t y GEN x EOS    supervised: x EOS, where the target comes first
    """

    def __init__(self, control: ControlTokens, prompts: TaskPrompts = TaskPrompts()) -> None:
        """Raises ConfigError where a task has no reserved token. There is no place for a system
        message."""
        self._control, self._asked = control, prompts
        self._gen_tokens = {
            task: control.gen_for(index, prompts.names_task)
            for index, task in enumerate(prompts.tasks)
        }
        self.end = self.end_of_lone_input = control.eos
        self.end_of_input, self.pad = control.ans, control.pad
        self.never_in_text = control.never_in_text

    def answer_prompt(self, x: Sequence[int], task: str = "") -> tuple[int, ...]:
        return (*x, self._control.ans)

    def draw_prompt(self, task: str, y: Sequence[int] = ()) -> tuple[int, ...]:
        gen = self._gen_tokens[task]
        return (gen, *y, self._control.gen) if y else (gen,)

    def is_target_first(self, task: str) -> bool:
        return task in self._asked.target_first


def cut_input(
    x: Sequence[int], y: Sequence[int], max_length: int, row_id: str, num_around: int
) -> tuple[Sequence[int], bool]:
    """Cut x so that it fits `max_length` tokens with y and the `num_around` tokens around them;
    returns x, and whether it was cut.

    The end of x is kept, because questions stand there. y is never cut: raises ConfigError, which
    names the row, where y alone does not fit."""
    room = max_length - len(y) - num_around
    if room < 1:
        raise ConfigError(
            f"params.yaml: text.max_length = {max_length}: the target of row {row_id} has "
            f"{len(y)} tokens and needs {len(y) + num_around + 1}. Raise it: targets are "
            "never cut."
        )
    return (x, False) if len(x) <= room else (x[len(x) - room :], True)
