"""Logits at positions are the model's own, whether its head is applied apart or not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lamol_core.training.logits import LogitsAt
from tests.fakes import ARCHITECTURES, sharpen

IDS = torch.tensor([[7, 8, 9, 10], [11, 12, 2, 2]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
AT = torch.tensor([[0, 0], [0, 3], [1, 1]])


class Scaled(nn.Module):
    """A head that does more than one product with its weight, behind a plain one's interface."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = model

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, **inputs):  # type: ignore[no-untyped-def]
        output = self.inner(**inputs)
        output.logits = 30 * torch.tanh(output.logits / 30)
        return output


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_both_ways_give_the_models_logits(architecture: str) -> None:
    model = sharpen(ARCHITECTURES[architecture]())
    at = LogitsAt(model)
    assert at.has_plain_head
    with torch.no_grad():
        expected = model(input_ids=IDS, attention_mask=MASK).logits[AT[:, 0], AT[:, 1]]
        torch.testing.assert_close(at(IDS, MASK, AT), expected)
        at.has_plain_head = False
        torch.testing.assert_close(at(IDS, MASK, AT), expected)


def test_a_head_that_does_more_is_found_out() -> None:
    model = Scaled(sharpen(ARCHITECTURES["llama"]()))
    at = LogitsAt(model)  # type: ignore[arg-type]
    assert not at.has_plain_head
    with torch.no_grad():
        expected = model(input_ids=IDS, attention_mask=MASK).logits[AT[:, 0], AT[:, 1]]
        torch.testing.assert_close(at(IDS, MASK, AT), expected)


def test_trying_the_head_leaves_the_mode_alone() -> None:
    for training in (True, False):
        model = ARCHITECTURES["llama"]().train(training)
        LogitsAt(model)
        assert model.training is training


def test_logits_are_fp32_and_padding_does_not_matter() -> None:
    model = sharpen(ARCHITECTURES["llama"]())
    with torch.no_grad():
        alone = LogitsAt(model)(IDS[1:, :2], MASK[1:, :2], torch.tensor([[0, 1]]))
        padded = LogitsAt(model)(IDS, MASK, AT)[2:]
        torch.testing.assert_close(alone, padded)
        assert LogitsAt(model.bfloat16())(IDS, MASK, AT).dtype == torch.float32
