"""Which heads are a matrix and no more."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    RecurrentGemmaConfig,
    RecurrentGemmaForCausalLM,
)

from lamol_core.models.head import linear_head


@pytest.mark.parametrize(("cap", "is_matrix"), [(None, True), (30.0, False)])
def test_a_head_that_caps_its_logits_is_none(cap: float | None, is_matrix: bool) -> None:
    """An untrained model's logits are far below the cap: trying them would not show it."""
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, final_logit_softcapping=cap,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config).eval()
    assert (linear_head(model) is not None) == is_matrix


def test_a_cap_has_other_names_too() -> None:
    torch.manual_seed(0)
    config = RecurrentGemmaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=3, lru_width=16,
        num_attention_heads=2, num_key_value_heads=1, attention_window_size=16,
    )  # fmt: skip
    assert config.logits_soft_cap == 30
    assert linear_head(RecurrentGemmaForCausalLM(config).eval()) is None
