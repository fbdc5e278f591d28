"""How a command ends on an error: one sentence and a documented exit code, not a traceback."""

import errno
import functools
import gc
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from lamol_core.errors import ArtifactError, LamolError
from stages.console import PLAIN_EVERY_S, say

OF_THE_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO,
    errno.ENAMETOOLONG,
}  # fmt: skip
"""Errors of the disk, such as no room or no permission. They are no bugs of lamol."""


def guarded(command: Callable[..., None], shows_bars: bool = False) -> Callable[..., None]:
    """Make a command end on an error with one sentence and the exit code of its class (errors.py),
    not a traceback.

    `shows_bars`: whether libraries show how far they are with a download or a model."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        debug = bool(kwargs.get("debug"))
        # imports make some hundred thousand objects that stay: looking through them for garbage
        # again and again is a tenth of their time (docs/performance.md)
        gc.set_threshold(50_000, 20, 100)
        quiet_libraries(shows_bars)
        if isinstance(sys.stdout, io.TextIOWrapper):  # a label may have what its encoding lacks
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            with spoken(say):
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
        remedy = "Fix this and run the same command again; finished outputs are unchanged."
        return f"{where}{error.strerror}. {remedy}", ArtifactError.exit_code
    return (
        f"a bug in lamol: {type(error).__name__}: {error}. "
        "Run the same command with --debug and report its output."
    ), 1


class _Spoken(logging.Handler):
    def __init__(self, say: Callable[[str], None], position: int) -> None:
        super().__init__(logging.INFO)
        self._say, self._position = say, position

    def emit(self, record: logging.LogRecord) -> None:
        if self._position and getattr(record, "first_met", self._position) != self._position:
            return
        level = "warning: " if record.levelno >= logging.WARNING else ""
        self._say(f"{level}{record.getMessage()}")


@contextmanager
def spoken(say: Callable[[str], None], position: int = 0) -> Iterator[None]:
    """Say to the user what the core logs, from INFO on.

    A record can have the attribute `first_met`: the position, in the order of learning, of the
    first task that meets what it tells of. It is said for the task at that position alone, and
    wherever there is no `position`. So what holds for all tasks is said once in a sequence."""
    logger = logging.getLogger("lamol_core")
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.level, logger.propagate = [_Spoken(say, position)], logging.INFO, False
    try:
        yield
    finally:
        logger.handlers, logger.level, logger.propagate = before


def run_as_module(name: str) -> None:
    """Run `lamol <name>`, for `python -m stages.<name>`."""
    from stages.cli import app  # which imports this module's commands when they are called

    app([name, *sys.argv[1:]])


def quiet_libraries(shows_bars: bool = False) -> None:
    # their output is for their own developers; a stage tells its user what matters
    if not shows_bars:
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TQDM_DELAY", "2")  # work of a moment shows no bar
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", str(PLAIN_EVERY_S))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
