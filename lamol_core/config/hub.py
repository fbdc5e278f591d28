"""Whether the Hugging Face hub can be reached, asked before its library tries for half a minute."""

import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from os import environ
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants

WITHIN_S = 2.0
"""Seconds in which the hub, or the proxy before it, must accept a connection."""


def model_problem(name: str) -> str | None:
    """A sentence where a model of the hub can't be fetched and is not in the hub's cache."""
    folder = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    return _problem(name, download_model(name), folder.glob("snapshots/*/config.json"))


def download_model(name: str) -> str:
    """A sentence: how a model of the hub is used without a network."""
    return _download(name, "", "with `--backbone FOLDER` or `kind: folder`")


def data_set_problem(name: str) -> str | None:
    """A sentence where a data set of the hub can't be fetched and is not in the cache of the
    library `datasets`."""
    folder = Path(environ.get("HF_DATASETS_CACHE", Path(constants.HF_HOME) / "datasets"))
    cached = (path for path in folder.glob("*") if _letters(path.name) == _letters(name))
    return _problem(name, _download(name, " --repo-type dataset", "as `path`"), cached)


def _download(name: str, option: str, key: str) -> str:
    return (
        f"Run `hf download {name}{option} --local-dir FOLDER` on a machine with a network, and "
        f"name that folder {key}."
    )


def _problem(name: str, advice: str, cached: Iterable[Path]) -> str | None:
    if is_reachable() or any(cached):
        return None
    off = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "can't be reached"
    return f"{name!r} can't be fetched from {constants.ENDPOINT} ({off}). {advice}"


def is_reachable() -> bool:
    """Whether the hub may be used, and answers at the address that `huggingface_hub` knows."""
    return not constants.HF_HUB_OFFLINE and _accepts(constants.ENDPOINT)


@cache
def _accepts(endpoint: str) -> bool:
    """Whether the host of an address, or the proxy for it, accepts a connection in time."""
    url, proxies = urlsplit(endpoint), getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(url.hostname or ""):
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    accepted: list[bool] = []

    def connect() -> None:
        address = url.hostname, url.port or (443 if url.scheme == "https" else 80)
        with suppress(OSError, UnicodeError), socket.create_connection(address, WITHIN_S / 2):
            accepted.append(True)

    # in a thread, because looking up a name has no time limit of its own
    thread = Thread(target=connect, daemon=True)
    thread.start()
    thread.join(WITHIN_S)
    return bool(accepted)


def _letters(name: str) -> str:
    """The letters and digits of a name: `datasets` spells names differently in its cache."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
