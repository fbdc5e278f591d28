"""What the pipeline asks of a method. A new one is a file with a subclass, and a registry line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.terms import Loss


class Method(ABC):
    """One continual-learning method, built from its parameters."""

    @property
    @abstractmethod
    def loss(self) -> Loss:
        """L of a batch; its equation stands in the method's file."""

    @property
    def expert_loss(self) -> Loss | None:
        """What an expert of the new task alone is trained by before, to be the teacher then.

        None: the teacher is the student as it was before the task."""
        return None

    def memory(self, context: MemoryContext) -> Memory:
        """What the method keeps between tasks, empty."""
        return Memory()

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        """The parameters that act in training: others are no part of a checkpoint's provenance."""
        return {}
