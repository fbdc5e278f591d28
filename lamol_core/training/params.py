"""The block `train` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from lamol_core.config.section import Count, Positive, Section, Weight
from lamol_core.models.params import Precision


class TrainParams(Section):
    """`steps`: the number of optimizer steps, instead of `epochs`. `micro_batch_tokens`: the most
    tokens in one forward. `warmup_fraction`: a share of the steps."""

    epochs: Count = 5
    steps: Count | None = None
    batch_size: Count = 32
    micro_batch_tokens: Count = 2048
    learning_rate: Positive = 2e-4
    warmup_fraction: Annotated[float, Field(ge=0, le=1)] = 0.05
    weight_decay: Weight = 0.01
    max_grad_norm: Positive = 1.0
    precision: Precision = "auto"
    attention: Literal["auto", "packed", "eager", "sdpa"] = "auto"
    compile: Literal["auto", "always", "never"] = "auto"
    teacher_targets: Literal["offline", "online"] = "offline"
    gradient_checkpointing: bool = False
