"""A task is trained by one process at a time, and a killed one is in nobody's way."""

import multiprocessing
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from lamol_core.artifacts.locks import sole_training
from lamol_core.errors import ArtifactError
from tests.messages import naming


def hold(path: Path, held: Event, end: Event) -> None:
    with sole_training(path, "a"):
        held.set()
        end.wait(60)


def test_a_second_training_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    path = tmp_path / ".lamol" / "training" / "a.lock"
    spawn = multiprocessing.get_context("spawn")
    for is_killed in (False, True):
        held, end = spawn.Event(), spawn.Event()
        first = spawn.Process(target=hold, args=(path, held, end))
        first.start()
        assert held.wait(60)
        refused = pytest.raises(ArtifactError, match=naming(path, "lamol train a"))
        with refused, sole_training(path, "a"):
            pass
        with sole_training(path.with_name("b.lock"), "b"):
            pass
        if is_killed:
            first.kill()
        else:
            end.set()
        first.join(60)
        assert first.exitcode == (-signal.SIGKILL if is_killed else 0)
        with sole_training(path, "a"):
            pass
