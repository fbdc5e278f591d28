"""How a row (x, y) becomes token sequences: the templates, and cutting x so that the row fits."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lamol_core.errors import ConfigError
from lamol_core.records import Origin, View
from lamol_core.text.encoded import EncodedRow, Part, Texts, Turns

ANS = "<|lamol:ans|>"
"""The name of ANS in a checkpoint's tokenizer."""
NEEDS_CHAT = (
    "conversations of several turns need an instruct model and `text.format: chat`, which `lamol "
    "init` writes for one. Choose both, or cut the conversations to one turn."
)
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
                f"number {task_index + 1} of its sequence. Raise it: all tasks are learnt again."
            )
        return self.gen_by_task[task_index]

    @property
    def never_in_text(self) -> tuple[int, ...]:
        """The ids that neither x nor y may hold: PAD and all GEN tokens."""
        return (self.pad, self.gen, *self.gen_by_task)


Supervise = Literal["last", "all"]


class End(NamedTuple):
    """What ends a sequence: the `times`-th time that the id `token` is written, or `most` ids."""

    token: int
    times: int = 1
    most: int = sys.maxsize


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
    supervise: Supervise = "last"
    """Which answers of a row with several turns the QA view supervises."""


class RowTemplate(ABC):
    """How the rows of a sequence's tasks become token sequences.

    Every row is laid out as prompt, x, `end_of_input`, `header`, y, `end`; between two turns stands
    `between`. A model writes the ids after the prompt; `header` and `between` are given to it."""

    end: int
    """The id that ends y."""
    end_of_input: int
    """The id that ends x where y follows."""
    end_of_lone_input: int
    """The id that ends x where y stands in the prompt."""
    header: tuple[int, ...] = ()
    """The ids between `end_of_input` and y."""
    between: tuple[int, ...] = ()
    """The ids between the `end` of an answer and the next x, where rows may have several turns."""
    pad: int
    never_in_text: Collection[int]
    """Ids that neither x nor y may hold, besides those that end them."""

    def __init__(self, prompts: TaskPrompts) -> None:
        self._asked = prompts

    @abstractmethod
    def before_input(self, task: str) -> tuple[int, ...]:
        """The ids before the first x of the QA view. `task`: whose system message they have."""

    @abstractmethod
    def draw_prompt(
        self, task: str, y: Sequence[int] = (), num_answers: int = 1
    ) -> tuple[int, ...]:
        """The ids that a pseudo-sample of a task, with so many answers, follows. With `y` x alone
        is to follow."""

    @abstractmethod
    def require_turns(self, task: str) -> None:
        """Raise ConfigError, with the reason, where rows of a task can't have several turns."""

    def is_target_first(self, task: str) -> bool:
        """Whether the prompt of a task's rows holds their y."""
        return task in self._asked.target_first

    def answer_prompt(
        self, x: Sequence[int], task: str = "", history: Turns = ()
    ) -> tuple[int, ...]:
        """The ids that an answer to x follows: all of the QA view before y. `task`: whose system
        message it has, if there is one. Raises ConfigError as `require_turns` does."""
        (*_, (prompt, _), _) = self._qa(task, [*history, (x, ())], supervise="last")
        return tuple(prompt)

    def end_of_draw(self, has_target: bool, num_answers: int = 1) -> End:
        """What ends a drawn sample. `has_target`: whether its prompt holds y."""
        if has_target:
            return End(self.end_of_lone_input)
        of_turn = (self.end_of_input, *self.header, self.end)
        times = num_answers * of_turn.count(self.end)
        return End(self.end, times + (num_answers - 1) * self.between.count(self.end))

    def row(
        self,
        row_id: str,
        origin: Origin,
        task: str,
        x: Sequence[int],
        y: Sequence[int],
        history: Turns = (),
    ) -> EncodedRow:
        """A row with both views. Raises ConfigError as `require_turns` does."""
        turns = [*history, (x, y)]
        parts: Mapping[View, tuple[Part, ...]] = {
            "qa": self._qa(task, turns, self._asked.supervise),
            "gen": self._gen(task, turns),
        }
        return EncodedRow(row_id, origin, task, x, y, parts, history)

    def fitted_row(
        self, row_id: str, origin: Origin, task: str, texts: Texts, max_length: int
    ) -> tuple[EncodedRow, bool]:
        """A row cut so that it fits `max_length` tokens, and whether something was cut: the oldest
        turns go first, then the front of x. Raises ConfigError as `cut_input` and `require_turns`
        do."""
        history, x, y = texts
        for first in range(len(history) + 1):
            row = self.row(row_id, origin, task, x, y, history[first:])
            if row.num_longest <= max_length:
                return row, first > 0
        kept = cut_input(x, y, max_length, row_id, row.num_longest - len(x) - len(y))
        return self.row(row_id, origin, task, kept, y), True

    def num_around(self, task: str, y: Sequence[int]) -> int:
        """How many ids stand around x and y, in the longer one of a row's views."""
        return self.row("", "new", task, (), y).num_longest - len(y)

    def num_of_turn(self, user: Sequence[int], answer: Sequence[int]) -> int:
        """How many ids a turn before x takes."""
        return len((*user, self.end_of_input, *self.header, *answer, self.end, *self.between))

    def _qa(self, task: str, turns: Turns, supervise: Supervise) -> tuple[Part, ...]:
        if len(turns) > 1:
            self.require_turns(task)
        given, parts = list(self.before_input(task)), list[Part]()
        for x, y in turns[:-1]:
            given += [*x, self.end_of_input, *self.header]
            if supervise == "all":
                parts += [(tuple(given), False), ((*y, self.end), True)]
                given = list(self.between)
            else:
                given += [*y, self.end, *self.between]
        x, y = turns[-1]
        given += [*x, self.end_of_input, *self.header]
        return (*parts, (tuple(given), False), ((*y, self.end), True))

    def _gen(self, task: str, turns: Turns) -> tuple[Part, ...]:
        x, y = turns[-1]
        if self.is_target_first(task):
            return (self.draw_prompt(task, y), False), ((*x, self.end_of_lone_input), True)
        parts: list[Part] = []
        given = self.draw_prompt(task, num_answers=len(turns))
        for x, y in turns:
            parts += [(given, False), ((*x, self.end_of_input), True)]
            parts += [(self.header, False), ((*y, self.end), True)]
            given = self.between
        return tuple(parts)


class TokenTemplate(RowTemplate):
    """Rows with reserved tokens.

    QA   x ANS y EOS          supervised: y EOS
    GEN  GEN_t x ANS y EOS    supervised: all after GEN_t
         GEN_t y GEN x EOS    supervised: x EOS, where the target comes first
    """

    def __init__(self, control: ControlTokens, prompts: TaskPrompts = TaskPrompts()) -> None:
        """Raises ConfigError where a task has no reserved token. There is no place for a system
        message."""
        super().__init__(prompts)
        self._control = control
        self._gen_tokens = {
            task: control.gen_for(index, prompts.names_task)
            for index, task in enumerate(prompts.tasks)
        }
        self.end = self.end_of_lone_input = control.eos
        self.end_of_input, self.pad = control.ans, control.pad
        self.never_in_text = control.never_in_text

    def before_input(self, task: str) -> tuple[int, ...]:
        return ()

    def draw_prompt(
        self, task: str, y: Sequence[int] = (), num_answers: int = 1
    ) -> tuple[int, ...]:
        gen = self._gen_tokens[task]
        return (gen, *y, self._control.gen) if y else (gen,)

    def require_turns(self, task: str) -> None:
        raise ConfigError(f"params.yaml: {NEEDS_CHAT}")


def newest(template: RowTemplate, history: Turns, room: int) -> Turns:
    """The newest of the turns before x, as many as fit `room` tokens."""
    for first, turn in reversed([*enumerate(history)]):
        room -= template.num_of_turn(*turn)
        if room < 0:
            return history[first + 1 :]
    return history


def cut_input(
    x: Sequence[int], y: Sequence[int], max_length: int, row_id: str, num_around: int
) -> Sequence[int]:
    """As much of the end of x as fits `max_length` tokens with y and the `num_around` tokens around
    them: questions stand at the end.

    y is never cut: raises ConfigError, which names the row, where y alone does not fit."""
    room = max_length - len(y) - num_around
    if room < 1:
        raise ConfigError(
            f"params.yaml: text.max_length = {max_length}: the target of row {row_id} has "
            f"{len(y)} tokens and needs {len(y) + num_around + 1}. Raise it: targets are "
            "never cut."
        )
    return x[max(len(x) - room, 0) :]
