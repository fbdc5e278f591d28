"""The block `text`: how a row becomes tokens."""

from typing import Annotated

from pydantic import Field

from lamol_core.config.section import Count, Section
from lamol_core.text.template import NUM_CONTROL


class TextParams(Section):
    """Lengths in tokens. `max_length`: a training row with its control tokens. `max_input_tokens`
    and `max_target_tokens`: the x and y of a pseudo-sample.

    Without `use_task_specific_gen_token` all tasks share one GEN token."""

    use_task_specific_gen_token: bool = True
    max_length: Annotated[int, Field(ge=8)] = 256
    max_input_tokens: Count = 64
    max_target_tokens: Count = 32

    @property
    def max_sample_tokens(self) -> int:
        """The most tokens that a pseudo-sample can have: x, ANS, y, EOS."""
        return self.max_input_tokens + self.max_target_tokens + NUM_CONTROL["qa"]
