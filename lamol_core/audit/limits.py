"""What a check's figure is held against."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from lamol_core.config.section import Section

Verdict = Literal["pass", "warn", "fail"]


class Limit(Section):
    """Beyond `warn` a figure is worth a look, beyond `fail` the table is not fit for training."""

    warn: float
    fail: float
    sign: ClassVar[int] = 1
    """-1 where low figures are the bad ones."""

    @model_validator(mode="after")
    def _fail_is_beyond_warn(self) -> Self:
        if self.sign * self.fail < self.sign * self.warn:
            side = "below" if self.sign > 0 else "above"
            raise ValueError(
                f"fail {self.fail:g} is {side} warn {self.warn:g}, a figure would fail before it "
                "warns; swap them"
            )
        return self

    def judge(self, value: float) -> Verdict:
        if self.sign * value > self.sign * self.fail:
            return "fail"
        return "warn" if self.sign * value > self.sign * self.warn else "pass"


class LowLimit(Limit):
    """Of a figure that is bad where it is low."""

    sign: ClassVar[int] = -1
