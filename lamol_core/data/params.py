"""The blocks `tasks.<name>`, `prepare` and `mix` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from lamol_core.config.section import Section
from lamol_core.data.sources.registry import Source
from lamol_core.errors import did_you_mean
from lamol_core.metrics.registry import METRICS
from lamol_core.records import Targets


class TaskParams(Section):
    """A task: the task learnt before it, its source, its metric, and the kind of its targets.
    `auto` chooses by the rows."""

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
    """How a missing dev or test split is cut off the training rows: a fraction of them, and a seed.

    `canaries`: how many random sentences are planted in each task's training rows."""

    dev_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    split_seed: int = 0
    canaries: Annotated[int, Field(ge=0, le=100)] = 0


class MixParams(Section):
    """Which pseudo-samples are trained on. `gate`: what happens where their audit failed.
    `drop_flagged`: leave out the rows that the audit flags."""

    gate: Literal["off", "warn", "fail"] = "warn"
    drop_flagged: bool = False

    @field_validator("gate", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: object) -> object:
        # YAML 1.1 reads the word `off` as false
        return "off" if value is False else value
