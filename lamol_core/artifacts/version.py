"""The version of the code that made an artefact."""

import hashlib
from functools import cache
from pathlib import Path

import lamol_core

ALWAYS = ("records.py", "seeds.py")
"""Files of lamol_core that count for every stage, beside its packages."""
ROOT = Path(lamol_core.__file__).parent


@cache
def code_version(packages: tuple[str, ...], root: Path = ROOT) -> str:
    """A hash (16 hex digits) of all files of these packages. It changes with every edit in a
    checkout."""
    digest = hashlib.sha256()
    for path in (path for name in (*ALWAYS, *packages) for path in _files(root / name)):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in found if file.is_file() and "__pycache__" not in file.parts]
