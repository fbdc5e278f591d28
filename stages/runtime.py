"""What every command shares: its options, how errors end it, what it tells of time and memory."""

from __future__ import annotations

import errno
import functools
import gc
import logging
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import say

if TYPE_CHECKING:
    from lamol_core.config.blocks import Params

TaskArgument = Annotated[
    str, typer.Argument(help="The task's name in params.yaml.", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-S",
        metavar="KEY=VALUE",
        help="Override a parameter of params.yaml for this run (repeatable).",
    ),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")]

OF_THE_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO,
}  # fmt: skip
"""What a disk refuses: no room, no permission. No bug of ours."""
MEASURED = ("seconds", "start_up_seconds", "peak_memory_bytes", "machine")
"""Keys of a figures file that differ from run to run."""


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
        _quiet_libraries()
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.Abort, KeyboardInterrupt, BrokenPipeError):
            raise  # the last: whoever reads has heard enough (`lamol compare | head`)
        except Exception as error:
            if debug:
                traceback.print_exc()
            sentence, exit_code = _told(error)
            say(f"error: {sentence}")
            raise typer.Exit(exit_code) from error

    return run


def _told(error: Exception) -> tuple[str, int]:
    """An error's sentence for the user, and the exit code that it ends a command with."""
    from lamol_core.errors import ArtifactError, LamolError

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


def run_alone(command: Callable[..., None]) -> None:
    """What `python -m stages.<name>` does."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app()


def open_params(overrides: list[str] | None) -> Params:
    """params.yaml of the current folder, checked, with the overrides laid over it."""
    from lamol_core.config.loading import load_params
    from lamol_core.errors import ConfigError

    params = load_params(Path("params.yaml"), overrides or ())
    for problem in version_problems(params):
        raise ConfigError(f"params.yaml: {problem}")
    return params


def version_problems(params: Params) -> list[str]:
    """Whether another version of lamol is wanted than the one that is installed."""
    from lamol_core import __version__

    if params.lamol_version in (None, __version__):
        return []
    return [
        f"lamol_version is {params.lamol_version}, installed is {__version__}. Write the installed "
        "one there (every stage then runs again), or install the other."
    ]


class Cost:
    """Seconds since it was made (first of all in a command), and the process's peak memory."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._start_up_s = 0.0

    def imported(self) -> None:
        """Libraries are imported now: what went by is start-up."""
        self._start_up_s = time.perf_counter() - self._started

    def figures(self, seconds_before: float = 0.0) -> dict[str, Any]:
        """Under the keys of MEASURED. `seconds_before`: what another process had done of the work
        before it was cut off."""
        from lamol_core.machine import describe_machine

        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        scale = 1 if sys.platform == "darwin" else 1024
        return {
            "seconds": round(time.perf_counter() - self._started + seconds_before, 2),
            "start_up_seconds": round(self._start_up_s, 2),
            "peak_memory_bytes": peak_kib * scale,
            "machine": describe_machine(),
        }


def _quiet_libraries() -> None:
    # what these print is for their own developers; a stage says what matters to its user
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
