"""What each method has learnt, once a session; a tiny checkpoint with dropout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch

from lamol_core.artifacts.manifest import Provenance
from lamol_core.models.checkpoints import load_model, save_checkpoint
from lamol_core.training.student import TrainedStudent
from tests.methods.trainings import Learnt, learn, params_of


@pytest.fixture(scope="session")
def learnt(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    """Each method learns once; its folder is never changed."""

    @cache
    def learn_once(method: str) -> tuple[Path, list[TrainedStudent]]:
        folder, params = tmp_path_factory.mktemp(method), params_of(method)
        return folder, [learn(folder, place, params, tiny_checkpoint) for place in range(3)]

    return learn_once


@pytest.fixture
def dropping_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """The tiny one, with dropout while it is trained."""
    model = load_model(tiny_checkpoint, torch.device("cpu"))
    model.config.attention_dropout = 0.5
    save_checkpoint(tmp_path / "dropping", model, Provenance(), tokenizer_from=tiny_checkpoint)
    return tmp_path / "dropping"
