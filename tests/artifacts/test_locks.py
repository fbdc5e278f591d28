"""An output is written by one process at a time, and a killed one is in nobody's way."""

import multiprocessing
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.locks import RANKS, require_unlocked, sole_writer
from lamol_core.artifacts.spec import MIX
from lamol_core.errors import ArtifactError
from tests.messages import naming


def hold(root: Path, held: Event, end: Event) -> None:
    layout = Layout(root)
    with sole_writer(layout, [layout.student("a"), layout.state("a")]):
        held.set()
        end.wait(60)


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    spawn = multiprocessing.get_context("spawn")
    for is_killed in (False, True):
        held, end = spawn.Event(), spawn.Event()
        first = spawn.Process(target=hold, args=(tmp_path, held, end))
        first.start()
        assert held.wait(60)
        for output in (layout.student("a"), layout.state("a")):
            with (
                pytest.raises(ArtifactError, match=naming(output)),
                sole_writer(layout, [MIX.at("a", layout.root), output]),
            ):
                pass
        with sole_writer(layout, [layout.student("b"), MIX.at("a", layout.root)]):
            pass
        with pytest.raises(ArtifactError):
            require_unlocked(layout)
        if is_killed:
            first.kill()
        else:
            end.set()
        first.join(60)
        assert first.exitcode == (-signal.SIGKILL if is_killed else 0)
        with sole_writer(layout, [layout.student("a")]):
            pass
        require_unlocked(layout)


@pytest.mark.parametrize("name", RANKS)
def test_of_several_processes_of_a_stage_the_first_holds_the_lock(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    outputs = [layout.student("a")]
    with sole_writer(layout, outputs):
        monkeypatch.setenv(name, "1")
        with sole_writer(layout, outputs):
            pass
        monkeypatch.setenv(name, "0")
        with pytest.raises(ArtifactError), sole_writer(layout, outputs):
            pass


def test_no_two_outputs_share_a_lock(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    outputs = [layout.student("a"), layout.student("a-b"), layout.run("a") / "b.student"]
    assert len({layout.lock(output) for output in outputs}) == len(outputs)
