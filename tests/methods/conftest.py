"""A tiny checkpoint with dropout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lamol_core.artifacts.manifest import Provenance
from lamol_core.models.checkpoints import load_model, save_checkpoint


@pytest.fixture
def dropping_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """The tiny one, with dropout while it is trained."""
    model = load_model(tiny_checkpoint, torch.device("cpu"))
    model.config.attention_dropout = 0.5
    save_checkpoint(tmp_path / "dropping", model, Provenance(), tokenizer_from=tiny_checkpoint)
    return tmp_path / "dropping"
