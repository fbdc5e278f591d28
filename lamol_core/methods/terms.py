"""A method's loss as data: a weighted sum of terms. Each term is a mean over supervised tokens.

losses.py computes the terms. From this sum the trainer learns which views, tokens and teacher
logits a batch needs, and computes all terms in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lamol_core.records import Origin, View

Kind = Literal["ce", "kl", "mse"]
Alignment = Literal["next_token", "reference"]


@dataclass(frozen=True)
class Term:
    """The mean loss of the supervised tokens of one view, in the rows of these origins together.

    ce: cross-entropy of the row's own tokens, in nats. kl: T^2 KL(teacher || student) at
    `temperature`, in nats. mse: the squared difference from the memory's stored logits, averaged
    over the vocabulary. `mean_over`: the origins whose tokens are the denominator of the mean.
    `alignment`: whether a token's loss uses the logits one position before it (next_token) or, by a
    fault, at it (reference)."""

    kind: Kind
    view: View
    origins: tuple[Origin, ...]
    mean_over: tuple[Origin, ...]
    temperature: float = 1.0
    alignment: Alignment = "next_token"

    @property
    def name(self) -> str:
        """The term's column in the training log."""
        return f"{self.kind}_{self.view}" + ("_memory" if self.origins == ("memory",) else "")

    @property
    def shift(self) -> int:
        """How many positions before a token its logits are taken."""
        return 1 if self.alignment == "next_token" else 0


@dataclass(frozen=True)
class Loss:
    """A weighted sum of terms. `parts` are pairs (weight, term)."""

    parts: tuple[tuple[float, Term], ...]

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.parts + other.parts)

    def __rmul__(self, factor: float) -> Loss:
        return Loss(tuple((factor * weight, term) for weight, term in self.parts))

    @property
    def views(self) -> tuple[View, ...]:
        """The views that the terms use, QA first."""
        used = {term.view for _, term in self.parts}
        return tuple(view for view in ("qa", "gen") if view in used)

    def of_kind(self, kind: Kind) -> tuple[Term, ...]:
        return tuple(term for _, term in self.parts if term.kind == kind)


def ce(view: View, *origins: Origin, mean_over: tuple[Origin, ...] = ()) -> Loss:
    """The cross-entropy of a view over the rows of these origins. The mean is over the tokens of
    `mean_over`, by default of the same origins."""
    return Loss(((1.0, Term("ce", view, origins, mean_over or origins)),))


def kl(
    view: View,
    origin: Origin,
    temperature: float,
    alignment: Alignment = "next_token",
    mean_over: tuple[Origin, ...] = (),
) -> Loss:
    """The KL divergence of a view over the rows of one origin. The mean is over the tokens of
    `mean_over`, by default of the same origin."""
    term = Term("kl", view, (origin,), mean_over or (origin,), temperature, alignment)
    return Loss(((1.0, term),))


def mse(view: View) -> Loss:
    """The MSE of a view between the student's logits and the logits stored with the memory's
    rows."""
    return Loss(((1.0, Term("mse", view, ("memory",), ("memory",))),))
