"""Fixtures of the whole tree: one tiny prepared checkpoint a session, one clean Accelerate."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import start_browser

if TYPE_CHECKING:
    from accelerate import Accelerator

    from lamol_core.text.tokenizer import TextCodec

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# before torch is imported: tiny models are faster on one thread, and sums then have one order
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(trylast=True)  # after tests were left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A worker begins with the sequence that many tests share. Later, two would need it at once,
    and one of them would wait for the other."""
    shares = [item for item in items if "finished" in getattr(item, "fixturenames", ())]
    for item in shares[:1]:
        items.remove(item)
        items.insert(0, item)


def pytest_collection_finish() -> None:
    """What is imported by then is never garbage. Accelerate looks through all of it after each
    training, which took half the time of a tiny one."""
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared nano checkpoint (hidden 16, 2 layers, 3 tasks), as `lamol backbone` writes it."""
    from lamol_core.artifacts.manifest import Provenance
    from lamol_core.models.backbones import build_backbone
    from lamol_core.models.checkpoints import save_checkpoint
    from tests.fakes import CORPUS, tiny_backbone_params

    folder = tmp_path_factory.mktemp("tiny") / "student"
    params = tiny_backbone_params()
    model, tokenizer = build_backbone(params, Path(), CORPUS)
    made_of = Provenance(params.model_dump(mode="json"))
    save_checkpoint(folder, model, made_of, tokenizer=tokenizer)
    return folder


@pytest.fixture(scope="session")
def codec(tiny_checkpoint: Path) -> TextCodec:
    from lamol_core.text.codecs import load_codec

    return load_codec(tiny_checkpoint)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Headless Chromium, for tests marked `needs_browser`."""
    driver = start_browser()
    yield driver
    driver.quit()


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    """A CPU accelerator in fp32. Accelerate's state is one a process: it is cleared around it."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield Accelerator(cpu=True, mixed_precision="no")
    AcceleratorState._reset_state(reset_partial_state=True)
