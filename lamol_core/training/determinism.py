"""What computes: what was left by other code, or with other threads, is not gone on from."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch
from accelerate import PartialState

import lamol_core


def computed_by(dtype: torch.dtype) -> dict[str, str | int]:
    """What decides the last bits of a result beside all that goes into it."""
    return {
        "code": code_digest(),
        **{name: version(name) for name in ("torch", "transformers")},
        "threads": torch.get_num_threads(),
        "device": PartialState().device.type,
        "dtype": str(dtype),
    }


@cache
def code_digest(root: Path = Path(lamol_core.__file__).parent) -> str:
    """Of every source file of the package, as a hash in hex: an edit in a checkout is other code,
    though the version is the same."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
