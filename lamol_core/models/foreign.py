"""The one place where what readers of other people's files do becomes one of our errors: they raise
anything, hang, or take the process with them.
"""

import faulthandler
import math
import os
import resource
import selectors
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from lamol_core.errors import ConfigError, LamolError, one_line

CPU_S = 8
"""Seconds of work that all steps of a child may take together: of the processor, so a busy machine
refuses nothing. A tokenizer of 49,000 tokens takes one, one of 256,000 three."""
WALL_S = 600
"""Seconds until a child that does not work and does not end is stopped."""
ROOM = 4 << 30
"""Bytes that a child may take beyond what it starts with. Files that it maps do not count, nor do
weights, which it does not read: the largest tokenizers take one or two of these four GB."""
LONGEST_CAUSE = 250
SENTENCE = "The quick brown fox (aged 3) jumps over 12 lazy dogs, doesn't it?\n"
TEXTS = (SENTENCE, *(mark * 80 + "!" for mark in "a0 _\n"), SENTENCE * 20)
"""Texts as anyone may have. A regular expression that explodes does so on a run of one letter."""
SPEAK_ALONE = (OSError, ValueError)
"""Errors whose text is a sentence. Of others, such as KeyError, the name is needed too."""


@contextmanager
def foreign(what: str, kind: type[LamolError] = ConfigError, remedy: str = "") -> Iterator[None]:
    """Turn whatever another library raises inside into an error of ours, `what (cause). remedy`.

    pyo3 raises a panic of a library in Rust as a BaseException: so all is caught but our own
    errors and what ends a process."""
    try:
        yield
    except (LamolError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise kind(f"{what} ({_cause(error)}). {remedy}".rstrip()) from error


def _cause(error: BaseException) -> str:
    said, name = one_line(error).rstrip("."), type(error).__name__
    if not said or not isinstance(error, SPEAK_ALONE):
        said = f"{name}: {said}" if said else name
    return said if len(said) <= LONGEST_CAUSE else f"{said[:LONGEST_CAUSE]} ..."


def try_out(steps: Iterator[str]) -> None:
    """Take these steps in a child process, with limits on its work and memory in all, so that one
    that hangs or dies does nothing to this process. It leaves no output.

    Before each step `steps` yields what is wrong if the step fails, such as "tokenizer.json: can't
    be read". Raises ConfigError with that and the cause. Without `os.fork` the steps are taken
    here, without limits."""
    if not hasattr(os, "fork"):
        for _ in _guarded(steps):
            pass
        return
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_the_child(steps, writing)
    os.close(writing)
    try:
        heard = _listen(reading)
    finally:
        os.close(reading)
        status = _end(child)
    mark, _, text = heard[-1].partition(" ") if heard else (AT, "", "")
    if mark == AT:
        raise ConfigError(f"{text} ({_name_of(status)}).")
    if mark == WRONG:
        raise ConfigError(text)


AT, WRONG, DONE = "at", "wrong", "done"
"""What a child says of itself: a line for each step, and one when it ends."""


def _guarded(steps: Iterator[str]) -> Iterator[str]:
    what: str | None = ""
    while what is not None:
        with foreign(what):
            what = next(steps, None)
        if what is not None:
            yield what


def _be_the_child(steps: Iterator[str], writing: int) -> NoReturn:
    def say(mark: str, text: str) -> None:
        os.write(writing, f"{mark} {' '.join(text.split())}\n".encode("utf-8", "replace"))

    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        faulthandler.disable()  # it writes to a copy of its own
        _limit(resource.RLIMIT_CORE, 0)
        if (present := _data_bytes()) is not None:
            _limit(resource.RLIMIT_DATA, present + ROOM)
        _limit(resource.RLIMIT_CPU, math.floor(time.process_time()) + CPU_S)
        for what in _guarded(steps):
            say(AT, what)
        say(DONE, "")
    except LamolError as error:
        say(WRONG, str(error))
    finally:
        os._exit(0)  # neither what the parent does at its end, nor its unwritten output


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError, ValueError):  # a system that lacks this one
        resource.setrlimit(kind, (most, hard))


def _data_bytes() -> int | None:
    """Memory of this process that counts for RLIMIT_DATA; None where the system doesn't tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()


def _listen(reading: int) -> list[str]:
    """The lines that a child says until it ends, or until WALL_S have passed."""
    heard, deadline = b"", time.monotonic() + WALL_S
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            if not (piece := os.read(reading, 1 << 16)):
                break
            heard += piece
    return heard.decode("utf-8", "replace").splitlines()


def _end(child: int) -> int:
    """Stop a child if it runs; returns its exit code, or its signal as a negative number."""
    with suppress(ProcessLookupError, ChildProcessError):  # this process's parent ignores SIGCHLD
        os.kill(child, signal.SIGKILL)  # one that has ended keeps the status that it ended with
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return 0


def _name_of(status: int) -> str:
    if status == -signal.SIGXCPU:
        return f"more than {CPU_S} s of work"
    if status == -signal.SIGKILL:
        return f"stopped: no memory left, or no end after {WALL_S} s"
    how = f" by {signal.Signals(-status).name}" if status < 0 else ""
    return f"its reader ended the process{how}"
