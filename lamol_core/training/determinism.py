"""What computes: what was left by other code, or with other threads, is not gone on from."""

from importlib.metadata import version

import torch
from accelerate import PartialState

from lamol_core.artifacts.spec import TRAIN
from lamol_core.artifacts.version import code_version


def computed_by(dtype: torch.dtype) -> dict[str, str | int]:
    """What decides the last bits of a result beside all that goes into it."""
    return {
        "code": code_version(TRAIN.packages),
        **{name: version(name) for name in ("torch", "transformers")},
        "threads": torch.get_num_threads(),
        "device": PartialState().device.type,
        "dtype": str(dtype),
    }
