"""What a training that was cut off goes on from."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from lamol_core.methods.memory import Memory
from lamol_core.training.optimizer import MasterAdamW
from lamol_core.training.resume import TENSORS, Resume


def test_random_numbers_go_on_where_they_stood(tmp_path: Path) -> None:
    """What is dropped in a training that was cut off depends on them."""
    model, resume = nn.Linear(5, 7), Resume(tmp_path, {})
    optimizer, log_rows = MasterAdamW(model.parameters(), 0.0), [{"seconds": 1.0}]
    torch.manual_seed(5)
    resume.save(model, optimizer, Memory(), log_rows)
    expected = torch.rand(3)
    torch.manual_seed(9)
    assert resume.load(model, optimizer, Memory()) == log_rows
    assert torch.equal(torch.rand(3), expected)


def test_what_is_not_whole_is_told_of_and_not_gone_on_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = nn.Linear(5, 7)
    caplog.set_level(logging.INFO)
    optimizer, resume = MasterAdamW(model.parameters(), 0.0), Resume(tmp_path, {})
    assert resume.load(model, optimizer, Memory()) == [] and not caplog.messages
    resume.save(model, optimizer, Memory(), [{"seconds": 1.0}])
    (resume.folder / TENSORS).write_bytes(b"half")
    assert resume.load(model, optimizer, Memory()) == []
    assert len(caplog.messages) == 1
