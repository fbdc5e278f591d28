"""Which code made an artefact."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import lamol_core

ALWAYS = ("records.py", "seeds.py")
"""What every stage is made with, beside its packages."""
ROOT = Path(lamol_core.__file__).parent


@cache
def code_version(packages: tuple[str, ...], root: Path = ROOT) -> str:
    """A hash, in hex, of every file of these packages: an edit in a checkout is other code, though
    the version is the same."""
    digest = hashlib.sha256()
    for path in _files([root / name for name in (*ALWAYS, *packages)]):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)
