"""The block `text`: how a row becomes tokens."""

from typing import Annotated

from pydantic import Field

from lamol_core.config.section import Count, Section
from lamol_core.text.template import NUM_CONTROL


class TextParams(Section):
    """How a row becomes tokens. All lengths are in tokens.

    Attributes:
        use_task_specific_gen_token: One GEN token for each task. `false`: one for all tasks.
        max_length: The most tokens of a row with its control tokens. The front of a longer input is
            cut off and counted; a target is never cut.
        max_input_tokens: The most tokens of the input of a pseudo-sample.
        max_target_tokens: The most tokens of the target of a pseudo-sample.
    """

    use_task_specific_gen_token: bool = True
    max_length: Annotated[int, Field(ge=8)] = 256
    max_input_tokens: Count = 64
    max_target_tokens: Count = 32

    @property
    def max_sample_tokens(self) -> int:
        """The most tokens that a pseudo-sample can have: x, ANS, y, EOS."""
        return self.max_input_tokens + self.max_target_tokens + NUM_CONTROL["qa"]
