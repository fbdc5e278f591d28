"""The block `text`: how a row becomes tokens."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from lamol_core.config.section import Count, Section
from lamol_core.records import TaskFacts
from lamol_core.text.template import NUM_CONTROL, Supervise, TaskPrompts

TextFormat = Literal["tokens", "chat"]


class TextParams(Section):
    """How a row becomes tokens. All lengths are in tokens.

    Attributes:
        format: `tokens`: rows with reserved tokens. `chat`: conversations in the chat template of
            an instruct model, which stays an ordinary chat model.
        gen_order: The order in the GEN view. `input_first`: the published one. `target_first`: in
            tasks with labels the label stands before the input, and a pseudo-sample is drawn for
            a given label. Free text and conversations of several turns keep `input_first`.
        supervise: The answers of a conversation of several turns that are learnt and distilled in
            the QA view: the `last` one, or `all`.
        use_task_specific_gen_token: One GEN token for each task. `false`: one for all tasks.
        max_length: The most tokens of a row with its control tokens. A longer one is cut and
            counted: its oldest turns go first, then the front of its input. A target is never cut.
            The longer one of a row's views counts, with every method: all learn the same rows.
        max_input_tokens: The most tokens of the input of a pseudo-sample.
        max_target_tokens: The most tokens of the target of a pseudo-sample.
    """

    format: TextFormat = "tokens"
    gen_order: Literal["input_first", "target_first"] = "input_first"
    supervise: Supervise = "last"
    use_task_specific_gen_token: bool = True
    max_length: Annotated[int, Field(ge=8)] = 256
    max_input_tokens: Count = 64
    max_target_tokens: Count = 32

    def is_target_first(self, facts: TaskFacts) -> bool:
        """Whether the GEN view of a task begins with the target."""
        has_labels = bool(facts.learnt_classes) and not facts.has_turns
        return self.gen_order == "target_first" and has_labels

    def prompts(self, lineage: Sequence[TaskFacts], names_task: bool = True) -> TaskPrompts:
        """What the prompts of these tasks say, in the order of learning. Without `names_task` one
        for drawing never says its task, whatever `use_task_specific_gen_token` is."""
        return TaskPrompts(
            [facts.name for facts in lineage],
            names_task=names_task and self.use_task_specific_gen_token,
            target_first={facts.name for facts in lineage if self.is_target_first(facts)},
            systems={facts.name: facts.system for facts in lineage},
            supervise=self.supervise,
        )

    @property
    def max_sample_tokens(self) -> int:
        """The most tokens that a pseudo-sample can have: x, ANS, y, EOS."""
        return self.max_input_tokens + self.max_target_tokens + NUM_CONTROL["qa"]
