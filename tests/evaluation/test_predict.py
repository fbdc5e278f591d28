"""Answers to test rows: what is cut is counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lamol_core.errors import ConfigError
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.evaluation.predict import predict
from lamol_core.models.checkpoints import load_model
from lamol_core.text.tokenizer import TextCodec
from tests.messages import naming


def test_inputs_are_cut_at_their_beginning_and_counted(tiny_checkpoint: Path) -> None:
    model, codec = load_model(tiny_checkpoint, torch.device("cpu")), TextCodec.load(tiny_checkpoint)
    short, long = "the light", "turn on the light " * 30
    params = EvaluateParams(max_target_tokens=3)
    answers = predict(model, codec, [short, long], params, max_length=12)
    assert len(answers.texts) == 2 and answers.inputs_cut == 1
    assert answers.answers_cut == 2, "without training it ends nowhere"
    (kept,) = codec.encode([long])
    end = codec.decode(kept[-10:])
    assert codec.encode([end])[0] == kept[-10:], "what is kept can be written as a text"
    (alone,) = predict(model, codec, [end], params, max_length=12).texts
    assert alone == answers.texts[1]


def test_inputs_leave_room_for_answers_in_the_models_positions(tiny_checkpoint: Path) -> None:
    model, codec = load_model(tiny_checkpoint, torch.device("cpu")), TextCodec.load(tiny_checkpoint)
    positions = model.config.max_position_embeddings
    long = "turn on the light " * 30
    params = EvaluateParams(max_target_tokens=20)
    answers = predict(model, codec, [long], params, max_length=positions)
    assert answers.inputs_cut == 1, "it was trained on so long a row, and can be scored on it"
    (kept,) = codec.encode([long])
    end = codec.decode(kept[-(positions - 21) :])
    assert predict(model, codec, [end], params, positions).texts == answers.texts
    with pytest.raises(ConfigError, match=naming("evaluate.max_target_tokens", positions)):
        predict(model, codec, [long], EvaluateParams(max_target_tokens=positions), positions)
