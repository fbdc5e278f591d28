"""The block `generate` of params.yaml: how many pseudo-samples are drawn, and how they are
chosen.
"""

from typing import Annotated, Literal

from pydantic import Field

from lamol_core.config.section import Count, NumRows, Section, Weight


class GenerateParams(Section):
    """How many pseudo-samples are drawn, and how they are chosen.

    Attributes:
        gamma: Pseudo rows for each new training row, over all earlier tasks together.
        rows_per_class: The fewest pseudo rows of each class of a task, whatever `gamma` is.
        topk: The sampler chooses each token among this many of the likeliest.
        format: `constrain`: an automaton makes every sample well formed. `reject`: samples are
            drawn freely and malformed ones are rejected, as in the published code.
        batch_size: Samples drawn at once. Fewer where their keys and values would take over 1 GiB.
        max_attempts: The most draws for each row wanted.
        refill: Draw again for rejected samples. `false` is the published behaviour.
        unique: Reject a text that was drawn before (`duplicate`).
        known_labels: Count a sample for the task that has its label, whatever GEN token it was
            drawn with. Reject a label that no task has (`unknown_label`) or that several have
            (`ambiguous_label`).
        judge: `features`: keep a sample only where a judge says its label. The judge knows class
            means of the untrained backbone's features, so it does not forget; they are kept in
            runs/T/judge.
        self_consistent: Reject a sample whose input the teacher answers otherwise (`inconsistent`).
        draws_per_row: Draw this many samples for each row wanted and keep the likeliest of each
            label. The others stay in the table as `surplus`.
        balance_labels: Keep as many rows of one label as of another. It needs a surplus to choose
            from: `draws_per_row` above 1, `carry_over` or `known_labels`.
        carry_over: Use the first pseudo rows of a task again for every later task. The teacher
            draws only what is missing.
    """

    gamma: Weight = 0.20
    rows_per_class: NumRows = 0
    topk: Count = 20
    format: Literal["constrain", "reject"] = "constrain"
    batch_size: Count = 256
    max_attempts: Count = 5
    refill: bool = True
    unique: bool = False
    known_labels: bool = False
    judge: Literal["none", "features"] = "none"
    self_consistent: bool = False
    draws_per_row: Annotated[int, Field(ge=1, le=100)] = 1
    balance_labels: bool = False
    carry_over: bool = False

    @property
    def draws(self) -> bool:
        """Whether any pseudo rows are wanted."""
        return self.gamma > 0 or self.rows_per_class > 0
