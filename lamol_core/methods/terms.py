"""A method's loss as data: a weighted sum of terms, each a mean over supervised tokens.

What a term computes stands in losses.py; the trainer reads from the sum which views, which tokens
and which teacher logits a batch needs, and computes all terms in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lamol_core.records import Origin, View

Kind = Literal["ce", "kl", "mse"]
Alignment = Literal["next_token", "reference"]


@dataclass(frozen=True)
class Term:
    """The mean over the tokens of `view` in the rows of these origins together.

    ce: cross-entropy of the row's own tokens, in nats. kl: T^2 KL(teacher || student) at
    `temperature`, in nats. mse: the squared difference to the logits that a memory holds, its mean
    over the vocabulary. `alignment` says where the logits of a token are taken: one before it, or
    at it (a fault). The denominator of the mean are the tokens of the origins `mean_over`.
    """

    kind: Kind
    view: View
    origins: tuple[Origin, ...]
    mean_over: tuple[Origin, ...]
    temperature: float = 1.0
    alignment: Alignment = "next_token"

    @property
    def name(self) -> str:
        """Its column in the training log."""
        return f"{self.kind}_{self.view}" + ("_memory" if self.origins == ("memory",) else "")

    @property
    def shift(self) -> int:
        """How many positions before a token the logits that predict it are taken."""
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
        """The views of all terms, QA first."""
        used = {term.view for _, term in self.parts}
        return tuple(view for view in ("qa", "gen") if view in used)

    def of_kind(self, kind: Kind) -> tuple[Term, ...]:
        return tuple(term for _, term in self.parts if term.kind == kind)

    @property
    def distilled(self) -> tuple[Term, ...]:
        """The terms that need a teacher."""
        return self.of_kind("kl")


def ce(view: View, *origins: Origin, mean_over: tuple[Origin, ...] = ()) -> Loss:
    """CE of a view over the rows of these origins; the mean is over all of them together."""
    return Loss(((1.0, Term("ce", view, origins, mean_over or origins)),))


def kl(
    view: View,
    origin: Origin,
    temperature: float,
    alignment: Alignment = "next_token",
    mean_over: tuple[Origin, ...] = (),
) -> Loss:
    """KL of a view over the rows of this origin."""
    term = Term("kl", view, (origin,), mean_over or (origin,), temperature, alignment)
    return Loss(((1.0, term),))


def mse(view: View) -> Loss:
    """MSE of a view between the student's logits and those stored with the memory's rows."""
    return Loss(((1.0, Term("mse", view, ("memory",), ("memory",))),))
