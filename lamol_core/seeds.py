"""Derive named seeds from the user's seed, so that results do not depend on the order of calls."""

import hashlib


def derive_seed(seed: int, *names: str | int) -> int:
    """A seed in [0, 2^63) that depends on the user's seed and every name."""
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def pseudo_seed(seed: int, new_task: str, prompted: str, index: int, attempt: int) -> int:
    """The seed of one sample drawn for `new_task` with the GEN token of the task `prompted`."""
    return derive_seed(seed, "pseudo", new_task, prompted, index, attempt)
