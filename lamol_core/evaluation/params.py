"""The block `evaluate`."""

from typing import Literal

from lamol_core.config.section import Count, Section


class EvaluateParams(Section):
    """Which rows are answered, and how.

    Attributes:
        split: The rows that are scored.
        batch_size: Rows answered at once.
        max_target_tokens: The most tokens of an answer.
        forward_transfer: Score each task but the first before it is learnt too, by the model of
            then and by the backbone.
    """

    split: Literal["dev", "test"] = "test"
    batch_size: Count = 256
    max_target_tokens: Count = 64
    forward_transfer: bool = False
