"""The block `generate` of params.yaml: how many pseudo-samples are drawn, and how they are
chosen.
"""

from typing import Annotated, Literal

from pydantic import Field

from lamol_core.config.section import Count, NumRows, Section, Weight


class GenerateParams(Section):
    """`gamma`: pseudo rows per new row. `rows_per_class`: the fewest rows of each class, whatever
    `gamma` is. `topk`: how many tokens the sampler chooses from. `refill`: draw rejected rows
    again, up to `max_attempts`."""

    gamma: Weight = 0.20
    rows_per_class: NumRows = 0
    topk: Count = 20
    format: Literal["constrain", "reject"] = "constrain"
    batch_size: Count = 256
    max_attempts: Count = 5
    refill: bool = True
    unique: bool = False
    known_labels: bool = False
    self_consistent: bool = False
    draws_per_row: Annotated[int, Field(ge=1, le=100)] = 1
    balance_labels: bool = False
    carry_over: bool = False

    @property
    def draws(self) -> bool:
        """Whether any pseudo rows are wanted."""
        return self.gamma > 0 or self.rows_per_class > 0
