"""Which code it is that trains: what was left by other code is not gone on from."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import lamol_core


@cache
def code_digest(root: Path = Path(lamol_core.__file__).parent) -> str:
    """Of every source file of the package, as a hash in hex: an edit in a checkout is other code,
    though the version is the same."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
