"""What the pipeline asks of a method. A new one is a file that fits this, and a registry line."""

from __future__ import annotations

from typing import Any, Protocol

from lamol_core.methods.terms import Loss


class Method(Protocol):
    """One continual-learning method, built from its parameters."""

    @property
    def loss(self) -> Loss:
        """L of a batch; its equation stands in the method's file."""
        ...

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        """The parameters that act in training: others are no part of a checkpoint's provenance."""
        ...
