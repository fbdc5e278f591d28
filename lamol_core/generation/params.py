"""The block `generate` of params.yaml: how many pseudo-samples are drawn, and how they are
chosen.
"""

from typing import ClassVar, Literal

from lamol_core.config.section import Count, NumRows, Section, Weight


class GenerateParams(Section):
    """How many pseudo-samples are drawn, and how they are chosen.

    Attributes:
        gamma: Pseudo rows for each new training row, over all earlier tasks together.
        rows_per_class: The fewest pseudo rows of each class of a task, whatever `gamma` is.
        topk: The sampler chooses each token among this many of the likeliest.
        format: `constrain`: an automaton makes every sample well formed. `reject`: samples are
            drawn freely and malformed ones are rejected, as in the published code.
        batch_size: Samples drawn at once. Fewer where their attention cache would take over 1 GiB.
        max_attempts: The most draws for each row wanted.
        refill: Draw again for rejected samples. `false` is the published behaviour.
        unique: Reject a text that was drawn before (`duplicate`).
        judge: `features`: keep a sample only where a judge says its label. The judge knows class
            means of features that the backbone had before any task, so it does not forget; they
            are kept in runs/T/judge.
        carry_over: Use the first pseudo rows of a task again for every later task. The teacher
            draws only what is missing.
    """

    removed: ClassVar = {
        "known_labels": False,
        "balance_labels": False,
        "draws_per_row": 1,
        "self_consistent": False,
    }

    gamma: Weight = 0.20
    rows_per_class: NumRows = 0
    topk: Count = 20
    format: Literal["constrain", "reject"] = "constrain"
    batch_size: Count = 256
    max_attempts: Count = 5
    refill: bool = True
    unique: bool = False
    judge: Literal["none", "features"] = "none"
    carry_over: bool = False

    @property
    def draws(self) -> bool:
        """Whether any pseudo rows are wanted."""
        return self.gamma > 0 or self.rows_per_class > 0
