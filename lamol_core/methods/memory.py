"""What a method keeps between tasks, and what it does with it while a task is learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lamol_core.artifacts.spec import remedy_at
from lamol_core.errors import ArtifactError
from lamol_core.text.encoded import EncodedRow

if TYPE_CHECKING:
    from torch import Tensor, nn

LogitsOf = Callable[[Sequence[EncodedRow]], "list[Tensor]"]
"""The student's logits (n, V) of each row's answer (QA view), as it is now, without gradient."""
BackwardOf = Callable[[EncodedRow], None]
"""Adds to the weights' gradients those of -log p(y | x) of one row, in nats."""


@dataclass(frozen=True)
class MemoryContext:
    """What a memory is made with: the user's seed, and how ids become text."""

    seed: int
    decode: Callable[[Sequence[int]], str]


def file_of_state(folder: Path, name: str) -> Path:
    """A file of a state. Raises ArtifactError when it is not there: it is another method's."""
    path = folder / name
    if not path.is_file():
        raise ArtifactError(
            f"{path}: missing, another method has left this state. {remedy_at(folder)}"
        )
    return path


class Memory:
    """A memory at work during one training; this one keeps nothing.

    It is `read` from what the task before has left (there is none before the first task). The
    trainer calls `begin`, then for each step `rows`, `add_penalty` and `observe` (before the
    weights change), at the end `finish`; then it is written. A training that is cut off in between
    writes and reads it too. Every process does the same with its own copy.
    """

    def read(self, folder: Path) -> None:
        """Take up what `write` has left. Raises ArtifactError where it is another method's."""

    def begin(self, model: nn.Module) -> None:
        """Before the first step."""

    def rows(self, step: int) -> Sequence[EncodedRow]:
        """What the batch of a step has besides its own rows, with origin "memory"."""
        return ()

    def logits(self, row_id: str) -> Tensor:
        """The stored logits (n, V) of a row that `rows` gave, for the n positions of its answer.
        They are the targets of the loss's mse term."""
        raise LookupError(f"{row_id}: this memory keeps no logits")

    def add_penalty(self, model: nn.Module) -> float | None:
        """Put a penalty's gradient on the weights, to which the loss adds its own; its value in
        nats, None where there is no such penalty."""
        return None

    def observe(self, rows: Sequence[EncodedRow], logits_of: LogitsOf) -> None:
        """The new task's rows of a step."""

    def finish(self, model: nn.Module, rows: Sequence[EncodedRow], backward_of: BackwardOf) -> None:
        """After the last step, with all rows of the new task. Gradients may be left behind."""

    def write(self, folder: Path) -> dict[str, int]:
        """Write the files of a state into a folder; gives what there is, for its manifest.

        The count `real_rows` says how many real rows are kept."""
        return {}
