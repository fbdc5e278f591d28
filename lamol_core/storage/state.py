"""What a method remembers between two tasks besides its student: `runs/T/state/`."""

from __future__ import annotations

from pathlib import Path

from lamol_core.storage.atomic import atomic_folder
from lamol_core.storage.kinds import STATE
from lamol_core.storage.manifest import Manifest, Provenance, check_folder, seal_folder


def write_state(folder: Path, provenance: Provenance) -> None:
    """A method without a memory of its own leaves an empty state: the manifest says so."""
    with atomic_folder(folder) as scratch:
        seal_folder(scratch, STATE, {}, provenance)


def check_state(folder: Path, remedy: str) -> Manifest:
    """The state's manifest, after its files were checked."""
    return check_folder(folder, STATE, remedy)
