"""The blocks `tasks.<name>`, `prepare` and `mix` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from lamol_core.config.section import Section
from lamol_core.data.sources.registry import Source
from lamol_core.errors import did_you_mean
from lamol_core.metrics.registry import METRICS
from lamol_core.records import ROW_VERDICTS, RowVerdict, Targets


class TaskParams(Section):
    """One task of the sequence.

    Attributes:
        after: The task learnt before this one, or `base`.
        source: Where the rows come from.
        metric: `accuracy`, `token_f1`, `rouge_l` or `joint_slots`. `auto`: accuracy where targets
            are classes, else token_f1.
        targets: `classes` or `text`. `auto`: classes where there are two targets at the most, or at
            least ten training rows for each on average.
    """

    after: str
    source: Source
    metric: str = "auto"
    targets: Literal["auto"] | Targets = "auto"

    @field_validator("metric")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in ("auto", *METRICS):
            hint = did_you_mean(name, METRICS)
            raise ValueError(f"wanted auto or one of {', '.join(METRICS)}{hint}")
        return name


class PrepareParams(Section):
    """How splits that a source lacks are cut off its training rows.

    Attributes:
        dev_fraction: The share of the training rows that becomes the dev split.
        test_fraction: The share of the training rows that becomes the test split.
        split_seed: The seed of the cut.
        canaries: Sentences with a random number planted in the training rows of each task. The
            audit looks for the numbers in the pseudo-samples.
    """

    dev_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    split_seed: int = 0
    canaries: Annotated[int, Field(ge=0, le=100)] = 0


class MixParams(Section):
    """Which pseudo-samples are trained on.

    Attributes:
        gate: What happens where their audit failed. `fail`: the stage stops. `warn`: it says so and
            goes on. `off`: it does not ask.
        drop_flagged: Leave out the rows to which the audit gives one of these verdicts, such as
            `[copy, wrong]`. `true`: one of any. `false`: none are left out.
    """

    gate: Literal["off", "warn", "fail"] = "warn"
    drop_flagged: bool | tuple[RowVerdict, ...] = False

    @property
    def dropped(self) -> frozenset[str]:
        """The verdicts on rows that are left out."""
        if isinstance(self.drop_flagged, bool):
            return frozenset(ROW_VERDICTS if self.drop_flagged else ())
        return frozenset(self.drop_flagged)

    @field_validator("gate", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: object) -> object:
        # YAML 1.1 reads the word `off` as false
        return "off" if value is False else value
