"""Paths that params.yaml names."""

from pathlib import Path


def resolve_path(path: str, root: Path) -> Path:
    """A path of params.yaml, whose folder `root` is: `~` expanded, absolute ones as they are."""
    try:
        return root / Path(path).expanduser()
    except RuntimeError:  # the home of a user that is not there
        return root / path


def originals(path: Path) -> list[Path]:
    """Where a path in a copy that `dvc exp run --temp` or `--queue` made may lie in the project
    itself, which is the copy's own layout below DVC's root or Git's; [] outside of copies."""
    parts = path.resolve().parts
    for i in range(len(parts)):
        if parts[i : i + 3] == (".dvc", "tmp", "exps"):
            inside = parts[i + 4 :]
            return [Path(*parts[:i], *inside[k:]) for k in range(len(inside) + 1)]
    return []


def say_missing(path: Path, given: str, root: Path) -> str:
    """That a path of params.yaml is not there, and why that may be."""
    if not given.startswith(("/", "~")) and originals(root):
        return (
            f"{path}: no such file or folder in this copy of the project. `dvc exp run --temp` "
            "and `--queue` copy only what Git or DVC track, and relative paths that lead out "
            "of the project do not resolve there: give `path` as an absolute path."
        )
    return f"{path}: no such file or folder. A relative `path` starts at the folder of params.yaml."
