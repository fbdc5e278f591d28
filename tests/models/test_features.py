"""Frozen features: the mean of the middle layer, whatever the batch."""

from pathlib import Path

import torch

from lamol_core.models.checkpoints import load_model
from lamol_core.models.features import FrozenFeatures
from lamol_core.text.tokenizer import TextCodec

TEXTS = ["book me a flight", "cancel", "", "what is the weather in paris today"]


def test_a_feature_is_the_mean_of_the_middle_layer(tiny_checkpoint: Path) -> None:
    features = FrozenFeatures(tiny_checkpoint).of(TEXTS)
    model, codec = load_model(tiny_checkpoint, torch.device("cpu")), TextCodec.load(tiny_checkpoint)
    for text, found in zip(TEXTS, features, strict=True):
        ids = torch.tensor([codec.encode([text])[0] or [codec.control.eos]])
        layers = model.base_model(input_ids=ids, output_hidden_states=True).hidden_states
        expected = layers[len(layers) // 2][0].mean(dim=0)
        assert torch.allclose(found, expected, atol=1e-5)
        assert not torch.allclose(found, layers[-1][0].mean(dim=0), atol=1e-2)


def test_a_text_has_one_feature_in_any_company(tiny_checkpoint: Path) -> None:
    of = FrozenFeatures(tiny_checkpoint).of
    assert torch.allclose(of(TEXTS), torch.cat([of([text]) for text in TEXTS]), atol=1e-5)
    assert of([]).shape[0] == 0
