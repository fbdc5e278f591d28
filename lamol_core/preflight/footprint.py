"""The memory that a training takes, by arithmetic: its parts, and what would make it fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

LIBRARIES = 500_000_000
"""Bytes of Python, torch and transformers (docs/performance.md)."""
FITTING = 0.9
"""The share of a machine's memory that a training may take: other work needs some, and the
arithmetic is not exact."""
FP32, BF16 = 4, 2
MOMENTS = 8
"""Bytes of the two moments of AdamW for each weight that is trained."""


@dataclass(frozen=True)
class Weights:
    """How many numbers a model has. `frozen` ones are read alone; `trainable` ones have gradients,
    moments and a master in fp32. `head`: those of the layer that makes logits. A frozen model has
    an adapter, which is all that is trained."""

    trainable: int
    frozen: int = 0
    head: int = 0

    @property
    def total(self) -> int:
        return self.trainable + self.frozen


@dataclass(frozen=True)
class Footprint:
    """What decides the memory of a training.

    `bytes_per_weight`: of the weights as they compute, 2 (bf16) or 4 (fp32). `num_micro_batches`:
    of an optimizer batch. `saved_bytes`: what a micro-batch's forward keeps for its backward.
    `saved_by_block`: the same of a single block; `input_bytes`: of the blocks' inputs, which are
    all that stays with gradient checkpointing. `logit_bytes`: of the logits that are there at once.
    `kept_per_weight`: the numbers that the method's memory holds for each weight. `has_expert`:
    whether the teacher is a model trained for this."""

    weights: Weights
    bytes_per_weight: int
    num_micro_batches: int
    teacher: Literal["none", "offline", "online"]
    saved_bytes: int
    saved_by_block: int
    input_bytes: int
    logit_bytes: int
    has_checkpointing: bool = False
    kept_per_weight: int = 0
    has_expert: bool = False

    @property
    def parts(self) -> dict[str, int]:
        """The bytes of each part of a training, by its name."""
        weights, size = self.weights, self.bytes_per_weight
        # the losses make the gradient of the head apart; bf16 gradients are summed up in fp32
        sums = FP32 if size == BF16 and self.num_micro_batches > 1 else 0
        # a frozen model is there once, for the student and an online teacher that it was
        is_shared = weights.frozen and not self.has_expert
        beside = weights.trainable if is_shared else weights.total
        states = {"none": 0, "offline": weights.head, "online": beside}[self.teacher]
        of_head = 0 if weights.frozen else weights.head
        saved = self.input_bytes if self.has_checkpointing else self.saved_bytes
        return {
            "weights": weights.total * size,
            # a bf16 weight is the upper half of its master, an fp32 weight is its own
            "rest of the fp32 masters": weights.trainable * (FP32 - size),
            "gradients": weights.trainable * (size + sums) + of_head * size,
            "moments of AdamW": weights.trainable * MOMENTS,
            "teacher": states * size,
            # in fp32, and with each what the weight was before the task
            "what the method keeps": weights.trainable * (FP32 + size) * self.kept_per_weight,
            # in the backward of a block its gradients are there too
            "activations": saved + self.saved_by_block,
            "logits": self.logit_bytes,
            "libraries": LIBRARIES,
        }

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    def largest_that_fits(self, memory: int) -> int:
        """The most weights of a model like this one that can be trained in so much memory: what
        grows with tokens is assumed to grow with the weights."""
        growing = self.total - LIBRARIES
        return int(self.weights.total * max(memory - LIBRARIES, 0) / growing)


def what_would_fit(footprint: Footprint, others: Mapping[str, Footprint], memory: int) -> list[str]:
    """Sentences for a training that takes more than FITTING of a machine's memory; [] where it
    fits.

    `others`: the same training with other settings, by what to write."""
    room = int(memory * FITTING)
    if footprint.total <= room:
        return []
    fitting = [f"{key} ({one.total / 1e9:.1f} GB)" for key, one in others.items()
               if one.total <= room]  # fmt: skip
    most = max(one.largest_that_fits(room) for one in (footprint, *others.values()))
    advice = f"Set {' or '.join(fitting)}." if fitting else "No setting makes it fit."
    return [
        f"a training takes {footprint.total / 1e9:.1f} GB of memory, and this machine has "
        f"{memory / 1e9:.1f} GB. {advice}",
        f"a model of this kind can be trained here, in some way, up to about {most / 1e9:.2g} "
        "billion parameters.",
    ]


def other_settings(
    footprint: Footprint, has_fast_bf16: bool, adapted: Weights
) -> dict[str, Footprint]:
    """The same training with other settings, by what to write in params.yaml. `adapted`: the
    weights with an adapter."""
    size = footprint.bytes_per_weight
    slow = "" if has_fast_bf16 else ", slow on this machine,"
    name, other = ("fp32", FP32) if size == BF16 else (f"bf16{slow}", BF16)
    changed = replace(
        footprint,
        bytes_per_weight=other,
        saved_bytes=footprint.saved_bytes * other // size,
        saved_by_block=footprint.saved_by_block * other // size,
        input_bytes=footprint.input_bytes * other // size,
    )
    others = {f"train.precision: {name}": changed}
    if not footprint.weights.frozen:
        others["adapter.kind: lora"] = replace(footprint, weights=adapted)
    if not footprint.has_checkpointing:
        key = "train.gradient_checkpointing: true"
        others[key] = replace(footprint, has_checkpointing=True)
        others[f"both {key} and train.precision: {name}"] = replace(changed, has_checkpointing=True)
        if not footprint.weights.frozen:
            both = replace(footprint, weights=adapted, has_checkpointing=True)
            others[f"both {key} and adapter.kind: lora"] = both
    return others
