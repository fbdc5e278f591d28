"""A method's loss as data: a weighted sum of terms, each a mean over supervised tokens.

What a term computes stands in losses.py; the trainer reads from the sum which views, which tokens
and which teacher logits a batch needs, and computes all terms in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lamol_core.config import Alignment
from lamol_core.records import Origin, View

Kind = Literal["ce", "kl"]


@dataclass(frozen=True)
class Term:
    """The mean over the tokens of `view` in the rows of these origins together, in nats.

    ce: cross-entropy of the row's own tokens. kl: T^2 KL(teacher || student) at `temperature`.
    `alignment` says where the logits of a token are taken: one before it, or at it (a fault).
    """

    kind: Kind
    view: View
    origins: tuple[Origin, ...]
    temperature: float = 1.0
    alignment: Alignment = "next_token"

    @property
    def name(self) -> str:
        """Its column in the training log."""
        return f"{self.kind}_{self.view}"

    @property
    def shift(self) -> int:
        """How far before a token the logits that tell it stand."""
        return 1 if self.alignment == "next_token" else 0


@dataclass(frozen=True)
class Loss:
    """sum_k weight_k term_k."""

    parts: tuple[tuple[float, Term], ...]

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.parts + other.parts)

    def __rmul__(self, factor: float) -> Loss:
        return Loss(tuple((factor * weight, term) for weight, term in self.parts))

    @property
    def views(self) -> tuple[View, ...]:
        """The views that any term speaks of, QA first."""
        used = {term.view for _, term in self.parts}
        return tuple(view for view in ("qa", "gen") if view in used)

    @property
    def distilled(self) -> tuple[Term, ...]:
        """The terms that need a teacher."""
        return tuple(term for _, term in self.parts if term.kind == "kl")


def cross_entropy(view: View, *origins: Origin) -> Loss:
    """CE of a view over the rows of these origins, in one mean."""
    return Loss(((1.0, Term("ce", view, origins)),))


def divergence(
    view: View, origin: Origin, temperature: float, alignment: Alignment = "next_token"
) -> Loss:
    """KL of a view over the rows of this origin."""
    return Loss(((1.0, Term("kl", view, (origin,), temperature, alignment)),))
