"""What the pipeline asks of a method. A new one is a file that fits this, and a registry line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lamol_core.records import View

if TYPE_CHECKING:
    from torch import Tensor

    from lamol_core.methods.losses import TokenBatch


@dataclass(frozen=True)
class LossTerms:
    """The loss of a batch and, for the log, its terms; None where a method has no such term."""

    total: Tensor
    ce_qa: Tensor | None = None
    ce_gen: Tensor | None = None
    kl_qa: Tensor | None = None
    kl_gen: Tensor | None = None


class Method(Protocol):
    """One continual-learning method, built from its parameters."""

    views: tuple[View, ...]
    """The views of each row that it trains on."""
    needs_teacher: bool
    """Whether pseudo rows come with the teacher's logits."""
    pseudo_alignment: Literal["next_token", "reference"]
    """Where the logits of pseudo rows are taken."""
    pools_origins: bool
    """Whether new and pseudo rows share one mean."""

    def loss(self, batch: TokenBatch) -> LossTerms:
        """L of a batch; its equation stands in the method's file."""
        ...

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        """The parameters that act in training: others are no part of a checkpoint's provenance."""
        ...
