"""How a command ends: one sentence and a documented exit code instead of a traceback."""

import errno
import functools
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer

from lamol_core.errors import ArtifactError, LamolError
from stages.console import say

OF_THE_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO,
}  # fmt: skip
"""What a disk refuses: no room, no permission. No bug of ours."""


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """End a command with the documented exit code and one sentence instead of a traceback.

    0 done, 1 a bug of ours, 2 usage, 3 configuration or data, 4 artefact; 5 training diverged, too
    few valid pseudo-samples, or an audit that failed its gate.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        debug = bool(kwargs.get("debug"))
        # imports make some hundred thousand objects that stay: looking through them for garbage
        # again and again is a tenth of their time (docs/performance.md)
        gc.set_threshold(50_000, 20, 100)
        quiet_libraries()
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.Abort, KeyboardInterrupt, BrokenPipeError):
            raise  # the last: the reader has read enough (`lamol compare | head`)
        except Exception as error:
            if debug:
                traceback.print_exc()
            sentence, exit_code = _sentence_and_code(error)
            say(f"error: {sentence}")
            raise typer.Exit(exit_code) from error

    return run


def _sentence_and_code(error: Exception) -> tuple[str, int]:
    if isinstance(error, LamolError):
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        where = f"{error.filename}: " if error.filename else ""
        remedy = "Mend that and run the same command again; what was whole before still is."
        return f"{where}{error.strerror}. {remedy}", ArtifactError.exit_code
    return (
        f"a bug of lamol's: {type(error).__name__}: {error}. "
        "Run the same command with --debug and report what it shows."
    ), 1


def run_alone(name: str) -> None:
    """What `python -m stages.<name>` does: the same as `lamol <name>`."""
    from stages.cli import app  # which imports this module's commands when they are called

    app([name, *sys.argv[1:]])


def quiet_libraries() -> None:
    # what these print is for their own developers; a stage says what matters to its user
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
