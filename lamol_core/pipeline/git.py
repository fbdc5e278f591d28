"""Asks Git whether it holds rows: what was committed once stays in its history."""

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def rows_in_git(paths: Iterable[Path]) -> Iterator[str]:
    """Yield a sentence for each of these files and folders that Git tracks, or has in a commit of
    any branch."""
    for path in paths:
        folder = next(parent for parent in path.absolute().parents if parent.is_dir())
        commands = ["ls-files"], ["log", "--all", "--max-count=1", "--format=%h"]
        named = ["--", str(path.absolute())]
        if any(git_output(folder, "--literal-pathspecs", *verb, *named) for verb in commands):
            yield (
                f"Git holds {path}, and its history keeps the rows. `git rm -r --cached` it, and "
                "take it out of all commits and copies (`git filter-repo --invert-paths --path`)."
            )


def git_output(folder: Path, *command: str) -> bytes:
    """Return what a Git command prints in a folder; b"" without Git or a repository."""
    with suppress(FileNotFoundError):
        done = subprocess.run(["git", *command], cwd=folder, capture_output=True, check=False)
        return done.stdout
    return b""
