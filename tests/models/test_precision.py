"""What `auto` means, on hardware with bf16 units and without."""

import pytest
import torch

from lamol_core.models.precision import has_fast_bf16, resolve_attention, resolve_precision

CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.mark.parametrize(
    ("avx512", "amx", "expected"),
    [
        (False, False, torch.float32),
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
    ],
)
def test_auto_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert resolve_precision("auto", CPU) == expected
    assert resolve_precision("fp32", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16


def test_the_probes_exist_in_this_torch() -> None:
    assert has_fast_bf16(CPU) in (True, False)
    assert has_fast_bf16(META) is False


def test_attention() -> None:
    assert resolve_attention("auto", CPU) == "eager"
    assert resolve_attention("auto", META) == "sdpa"
    for device in (CPU, META):
        assert resolve_attention("sdpa", device) == "sdpa"
        assert resolve_attention("eager", device) == "eager"
