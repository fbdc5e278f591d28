"""Whether a name of the hub can be used on this machine, known in time."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from huggingface_hub import constants

from lamol_core.config import hub
from tests.messages import names


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without proxies, with an empty cache, on which the hub is wanted."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_DATASETS_CACHE", raising=False)
    monkeypatch.setattr(hub, "getproxies", dict)
    hub._accepts.cache_clear()


@pytest.fixture
def listening() -> Iterator[int]:
    """The port of a server that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def problem_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    return hub.model_problem("owner/model")


def test_a_hub_that_answers_is_no_problem(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem_at(f"http://127.0.0.1:{listening}", monkeypatch) is None
    closed = f"http://127.0.0.1:{free_port()}"
    problem = problem_at(closed, monkeypatch)
    assert names(problem, closed, "owner/model", "--local-dir", "kind: folder")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert names(problem_at(f"http://127.0.0.1:{listening}", monkeypatch), "HF_HUB_OFFLINE")


def test_a_proxy_is_asked_instead(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": f"http://127.0.0.1:{listening}"})
    assert problem_at("https://nowhere.invalid", monkeypatch) is None
    assert names(problem_at("http://nowhere.invalid", monkeypatch), "nowhere.invalid")


def test_a_name_server_that_never_answers_takes_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Event()

    def never_answer(*_: object) -> None:
        ended.wait(60)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", never_answer)
    monkeypatch.setattr(hub, "WITHIN_S", 0.1)
    started = time.perf_counter()
    assert problem_at("https://silent.invalid", monkeypatch) is not None
    assert time.perf_counter() - started < 3
    ended.set()


def test_what_is_cached_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.model_problem("owner/model") and hub.data_set_problem("owner/DataSet")
    cached = tmp_path / "hub" / "models--owner--model" / "snapshots" / "1234"
    cached.mkdir(parents=True)
    (cached / "config.json").touch()
    (tmp_path / "datasets" / "owner___data_set").mkdir(parents=True)
    assert hub.model_problem("owner/model") is None
    assert hub.data_set_problem("owner/DataSet") is None
    assert hub.model_problem("owner/other") and hub.data_set_problem("owner/other")


def test_asking_loads_no_library_of_models() -> None:
    code = (
        "import sys, lamol_core.config.hub; "
        "assert not {'torch', 'transformers', 'datasets'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
