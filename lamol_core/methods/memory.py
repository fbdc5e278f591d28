"""The interface of a method's memory: what it keeps between tasks, and how training uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lamol_core.artifacts.spec import remedy_at
from lamol_core.errors import ArtifactError
from lamol_core.text.encoded import Decodes, EncodedRow
from lamol_core.text.template import RowTemplate

if TYPE_CHECKING:
    from torch import Tensor, nn

LogitsOf = Callable[[Sequence[EncodedRow]], "list[Tensor]"]
"""A function that gives the current student's logits (n, V) of each row's answer (QA view), without
gradient."""
BackwardOf = Callable[[EncodedRow], None]
"""A function that adds the gradient of one row's -log p(y | x), in nats, to the weights'
gradients."""


@dataclass(frozen=True)
class MemoryContext:
    """What a memory is made with: the user's seed, how rows become token sequences, and what turns
    their ids into text."""

    seed: int
    template: RowTemplate
    codec: Decodes


def file_of_state(folder: Path, name: str) -> Path:
    """The path of a file in a state. Raises ArtifactError where it is missing, because another
    method wrote the state."""
    path = folder / name
    if not path.is_file():
        raise ArtifactError(
            f"{path}: missing, because another method wrote this state. {remedy_at(folder)}"
        )
    return path


class Memory:
    """A method's memory during one training. This base class keeps nothing.

    `read` loads the state that the task before left; before the first task there is none. The
    trainer then calls `begin`; for each step `rows`, `add_penalty` and `observe` (before the
    weights change); at the end `finish`, then `write`. An interrupted training also writes the
    memory, and reads it when it goes on. Each of several processes has its own copy."""

    def read(self, folder: Path) -> None:
        """Load the files that `write` left in a folder. Raises ArtifactError where another method
        wrote them."""

    def begin(self, model: nn.Module) -> None:
        """Called before the first step."""

    def rows(self, step: int) -> Sequence[EncodedRow]:
        """The rows that are added to the batch of a step. Their origin is "memory"."""
        return ()

    def logits(self, row_id: str) -> Tensor:
        """The stored logits (n, V) for the n answer tokens of a row that `rows` gave. They are the
        targets of an mse term. Raises LookupError where the memory keeps no logits."""
        raise LookupError(f"{row_id}: this memory keeps no logits")

    def add_penalty(self, model: nn.Module) -> float | None:
        """Add the penalty's gradient to the weights' gradients, before the loss adds its own.
        Returns the penalty in nats, None where the method has no penalty."""
        return None

    def observe(self, rows: Sequence[EncodedRow], logits_of: LogitsOf) -> None:
        """Called in each step with the batch's rows of the new task."""

    def finish(self, model: nn.Module, rows: Sequence[EncodedRow], backward_of: BackwardOf) -> None:
        """Called after the last step with all rows of the new task. The gradients of the model may
        be changed."""

    def write(self, folder: Path) -> dict[str, int]:
        """Write the files of the state into a folder; returns counts for its manifest.

        The count `real_rows` is the number of real rows that are kept."""
        return {}
