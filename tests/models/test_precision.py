"""What `auto` means, on hardware with bf16 units and without."""

import pytest
import torch

from lamol_core.models import precision
from lamol_core.models.precision import (
    COMPILE_FLOPS,
    has_fast_bf16,
    resolve_attention,
    resolve_compile,
    resolve_precision,
)

CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.mark.parametrize(
    ("avx512", "amx", "vendor", "expected"),
    [
        (False, False, "AuthenticAMD", torch.float32),
        (True, False, "AuthenticAMD", torch.bfloat16),
        (True, False, "GenuineIntel", torch.float32),
        (True, True, "GenuineIntel", torch.bfloat16),
        (True, False, "", torch.float32),
    ],
)
def test_auto_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool, vendor: str, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(precision, "_cpu_vendor", lambda: vendor)
    assert resolve_precision("auto", CPU) == expected
    assert resolve_precision("fp32", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16


def test_the_probes_exist_in_this_torch() -> None:
    assert has_fast_bf16(CPU) in (True, False)
    assert has_fast_bf16(META) is False


def test_attention() -> None:
    assert resolve_attention("auto", CPU) == "packed"
    assert resolve_attention("auto", META) == "sdpa"
    for device in (CPU, META):
        assert resolve_attention("sdpa", device) == "sdpa"
        assert resolve_attention("eager", device) == "eager"


def test_compiling_is_for_long_trainings_with_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (None, "/usr/bin/g++"):
        monkeypatch.setattr(precision.shutil, "which", lambda name, found=found: found)
        assert resolve_compile("auto", COMPILE_FLOPS, CPU) == (found is not None)
        assert not resolve_compile("auto", COMPILE_FLOPS / 2, CPU)
        assert not resolve_compile("auto", COMPILE_FLOPS, META)
        assert resolve_compile("always", 1.0, CPU) and not resolve_compile("never", 1e30, CPU)
