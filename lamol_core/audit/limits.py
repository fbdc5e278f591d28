"""The limits of a check's figures, and the verdicts they give."""

from collections.abc import Iterable
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from lamol_core.config.section import Section

Verdict = Literal["pass", "warn", "fail"]
SEVERITY: tuple[Verdict, ...] = ("pass", "warn", "fail")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=SEVERITY.index, default="pass")


class Limit(Section):
    """The limits of a figure: beyond `warn` it is worth a look, beyond `fail` the table is not fit
    for training.

    `sign` is 1 where high figures are bad, -1 where low figures are bad."""

    warn: float
    fail: float
    sign: ClassVar[int] = 1

    @model_validator(mode="after")
    def _fail_is_beyond_warn(self) -> Self:
        if self.sign * self.fail < self.sign * self.warn:
            side = "below" if self.sign > 0 else "above"
            raise ValueError(f"fail {self.fail:g} is {side} warn {self.warn:g}; swap them")
        return self

    def judge(self, value: float) -> Verdict:
        if self.sign * value > self.sign * self.fail:
            return "fail"
        return "warn" if self.sign * value > self.sign * self.warn else "pass"


class LowLimit(Limit):
    """Limits of a figure that is bad where it is low."""

    sign: ClassVar[int] = -1
