"""What a method rehearses of earlier tasks: pseudo-samples, real rows, or nothing.

Apart from the losses, so that a change to a loss makes no stage draw or mix again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lamol_core.config.blocks import LamolParams, Params
from lamol_core.data.mixing import pseudo_rows_by_task
from lamol_core.data.task_data import TaskData
from lamol_core.records import Example, TaskFacts


@dataclass(frozen=True)
class Sampling:
    """How many pseudo-samples a method wants, and how they are prompted and drawn."""

    gamma: float
    topk: int
    task_specific_token: bool
    rows_per_class: int = 0
    """At least so many rows of a task for each of its classes, whatever gamma says."""

    @property
    def draws(self) -> bool:
        """Whether it wants any rows at all."""
        return self.gamma > 0 or self.rows_per_class > 0


def find_sampling(params: Params) -> Sampling | None:
    """How the method draws pseudo-samples: its block says so if it is a LamolParams, else None."""
    block = params.method_block
    if not isinstance(block, LamolParams):
        return None
    return Sampling(
        block.gamma, block.topk, block.use_task_specific_gen_token, block.rows_per_class
    )


def rows_wanted(
    sampling: Sampling | None, new: TaskFacts, earlier: Sequence[TaskFacts]
) -> dict[str, int]:
    """How many pseudo-samples of each earlier task are wanted for a new one, oldest first."""
    shares = [0] * len(earlier)
    if sampling:
        num_classes = [len(facts.learnt_classes) for facts in earlier]
        shares = pseudo_rows_by_task(
            sampling.gamma, new.num_rows["train"], num_classes, sampling.rows_per_class
        )
    return dict(zip((facts.name for facts in earlier), shares, strict=True))


def drawing_settings(params: Params, sampling: Sampling) -> dict[str, object]:
    """All parameters that pseudo-samples depend on, as the table's manifest has them."""
    return {
        "method": params.method,
        "seed": params.seed,
        "gamma": sampling.gamma,
        "topk": sampling.topk,
        "use_task_specific_gen_token": sampling.task_specific_token,
        "rows_per_class": sampling.rows_per_class,
        **params.generate.model_dump(),
    }


MIXES_REAL_ROWS = frozenset({"multitask"})
"""Methods whose mix has the real rows of all earlier tasks, by definition."""
KEEPS_REAL_ROWS = MIXES_REAL_ROWS | {"replay", "derpp"}
"""Methods that train on real rows of earlier tasks again: theirs are a memory's, or the mix's."""


def real_rows(data: TaskData, method: str) -> list[Example]:
    """The real rows that a task's mix refers to: the task's own, and those of every earlier task
    where the method mixes them. Raises ArtifactError for a table that is missing or forgotten."""
    rows = data.rows("train")
    if method in MIXES_REAL_ROWS:
        rows += [row for facts in data.earlier for row in data.seen_rows(facts.name, "train")]
    return rows
