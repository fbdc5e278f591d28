"""The block `train` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from lamol_core.config.section import Count, Positive, Section, Weight
from lamol_core.models.params import Precision


class TrainParams(Section):
    """How a student is trained: AdamW, with a linear warm-up and decay of the learning rate.

    Attributes:
        epochs: Passes over the mix.
        steps: The number of optimizer steps. It is used instead of `epochs` where it is set.
        batch_size: Rows of an optimizer step. Each term of the loss is a mean over the whole batch.
        micro_batch_tokens: The most tokens in one forward. It changes memory, not results.
        learning_rate: The highest learning rate.
        warmup_fraction: The share of the steps in which the learning rate rises.
        weight_decay: The weight decay of AdamW.
        max_grad_norm: Gradients are clipped to this norm.
        precision: `bf16` has fp32 master weights. `auto` takes bf16 where it is faster: AMX, the
            avx512_bf16 of AMD, CUDA.
        attention: `packed`: rows without padding. `eager` and `sdpa`: those of transformers.
            `auto`: packed on a CPU, else sdpa.
        compile: Whether the blocks of the model are compiled by torch. `auto`: where training takes
            long and there is a C++ compiler.
        teacher_targets: `offline`: the teacher runs once, and its hidden states wait in
            `.lamol/teacher/` until the student is trained. `online`: it runs in every step. The
            logits are the same.
        gradient_checkpointing: Take less memory and somewhat more time.
    """

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
