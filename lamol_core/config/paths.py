"""Resolve the paths that params.yaml names."""

from pathlib import Path

LFS = b"version https://git-lfs.github.com/spec/"


def resolve_path(path: str, root: Path) -> Path:
    """A path of params.yaml as a full path. Relative paths start from `root`, `~` is expanded."""
    try:
        return root / Path(path).expanduser()
    except RuntimeError:  # `~user` of an unknown user
        return root / path


def originals(path: Path) -> list[Path]:
    """The places where a path may lie in the original project, if it lies in a copy that `dvc exp
    run --temp` or `--queue` made. [] outside of such copies."""
    parts = path.resolve().parts
    for i in range(len(parts)):
        if parts[i : i + 3] == (".dvc", "tmp", "exps"):
            inside = parts[i + 4 :]
            return [Path(*parts[:i], *inside[k:]) for k in range(len(inside) + 1)]
    return []


def pointer_problem(path: Path) -> str | None:
    """A sentence where a file is the pointer that Git LFS leaves in place of a large file."""
    said = f"{path}: is a pointer of Git LFS, not the file itself. Run `git lfs pull` there."
    return said if begins_with(path, LFS) else None


def begins_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(mark)) == mark


def say_missing(path: Path, given: str, root: Path) -> str:
    """A sentence: a path of params.yaml does not exist, and the likely reason. `given` is the path
    as written there."""
    if not given.startswith(("/", "~")) and originals(root):
        return (
            f"{path}: no such file or folder in this copy of the project. `dvc exp run --temp` "
            "and `--queue` copy only what Git or DVC track, and relative paths that lead out "
            "of the project do not resolve there: give `path` as an absolute path."
        )
    return f"{path}: no such file or folder. A relative `path` starts at the folder of params.yaml."
