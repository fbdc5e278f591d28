"""Handle Ctrl-C and SIGTERM during a training: it stops at the end of a step."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NOTICE = b"\nstopping after this step, which is kept; a second signal stops at once\n"


class Interruption:
    """A context that only records a first signal, in `received`. A second one ends the process at
    once.

    After a signal, the process ends when `end` is called or the context ends. Signals that were
    ignored stay ignored. Outside the main thread the context does nothing."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler not in (signal.SIG_IGN, None):  # None: not set from Python
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is None and self.received is not None:
            self.end()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            self.end()
        self.received = signal.Signals(number)
        os.write(2, NOTICE)  # a handler may interrupt a print

    def end(self) -> None:
        """End the process as the recorded signal would. Raises KeyboardInterrupt or SystemExit."""
        if self.received == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt
