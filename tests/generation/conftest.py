"""Two untrained teachers: one that writes many malformed rows, one that writes few."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from lamol_core.models.checkpoints import load_model
from lamol_core.text.codecs import load_codec
from lamol_core.text.tokenizer import TextCodec
from tests.fakes import sharpen


@pytest.fixture(scope="module")
def teacher(tiny_checkpoint: Path) -> PreTrainedModel:
    """Untrained, and given to white space: at times nothing else stands in a target."""
    model = sharpen(load_model(tiny_checkpoint, torch.device("cpu")))
    codec = load_codec(tiny_checkpoint)
    table = model.get_input_embeddings().weight
    blank = [i for i in range(len(table)) if codec.decode([i]).isspace()]
    with torch.no_grad():
        table[blank] *= 3
    return model


@pytest.fixture(scope="module")
def writer(teacher: PreTrainedModel, codec: TextCodec) -> PreTrainedModel:
    """The same without its white space, and given to end: nearly all it writes is well formed."""
    model = copy.deepcopy(teacher)
    table = model.get_input_embeddings().weight
    blank = [i for i in range(len(table)) if codec.decode([i]).isspace()]
    with torch.no_grad():
        table[blank] = 0.0
        table[codec.control.eos] *= 4
    return model
