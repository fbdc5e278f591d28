"""Ctrl-C, and what `kill` sends: heard at once, answered at the end of a step."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HEARD = b"\nstopping at the end of this step, which is kept; once more stops at once\n"


class Interruption:
    """While it is entered, a first signal waits for `end` to be called, at the latest until the
    end; a second one ends the process as if nobody listened. Signals that are ignored stay so, and
    outside the main thread it hears nothing."""

    def __init__(self) -> None:
        self.came: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler not in (signal.SIG_IGN, None):  # None: not set from Python
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is None and self.came is not None:
            self.end()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.came is not None:
            self.end()
        self.came = signal.Signals(number)
        os.write(2, HEARD)  # a handler may interrupt a print

    def end(self) -> None:
        """End the process as the signal would have. Raises KeyboardInterrupt or SystemExit."""
        if self.came == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt
