"""Signals while a training listens: one waits for the end of a step, two do not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lamol_core.training.interruption import NOTICE, SIGNALS, Interruption


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As Python sets them, whatever started the tests (a shell's background ignores Ctrl-C)."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_waits_until_it_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        assert interruption.received is None
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.received == signal.SIGINT
        assert NOTICE.decode() in capfd.readouterr().err
        interruption.end()


def test_a_signal_that_nobody_asked_for_is_not_lost() -> None:
    with pytest.raises(SystemExit) as ended, Interruption():
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM


def test_a_second_signal_ends_at_once() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("one")
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("two")
    assert reached == ["one"]


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
    assert interruption.received is None
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_outside_the_main_thread_it_hears_nothing() -> None:
    def listen() -> signal.Signals | None:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGTERM)
            return interruption.received

    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(listen).result() is None
    assert heard == [signal.SIGTERM]
