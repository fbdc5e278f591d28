"""What a method replays of earlier tasks: pseudo-samples, real rows, or nothing.

Apart from the losses, so that a change to a loss makes no stage draw or mix again.
"""

from __future__ import annotations

from dataclasses import dataclass

from lamol_core.config import Params, ReplayParams


@dataclass(frozen=True)
class Sampling:
    """How many pseudo-samples a method wants, and how they are prompted and drawn."""

    gamma: float
    topk: int
    task_specific_token: bool


def find_sampling(params: Params) -> Sampling | None:
    """How the method draws pseudo-samples: its block says so if it is a ReplayParams, else None."""
    block = getattr(params, params.method, None)
    if not isinstance(block, ReplayParams):
        return None
    return Sampling(block.gamma, block.topk, block.use_task_specific_gen_token)


KEEPS_REAL_ROWS = frozenset({"multitask"})
"""Methods that keep the real rows of earlier tasks, by definition, and train on them again."""
