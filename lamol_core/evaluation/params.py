"""The block `evaluate`."""

from typing import Literal

from lamol_core.config.section import Count, Section


class EvaluateParams(Section):
    """`max_target_tokens`: the most tokens of an answer. `forward_transfer`: also score each
    task before it is learnt."""

    split: Literal["dev", "test"] = "test"
    batch_size: Count = 256
    max_target_tokens: Count = 64
    forward_transfer: bool = False
