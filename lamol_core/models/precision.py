"""Choose a stage's floating-point format, attention and compilation, by measured rules."""

import re
import shutil
from pathlib import Path

import torch

from lamol_core.models.params import Precision


def has_fast_bf16(device: torch.device) -> bool:
    """Whether matrix products in bf16 are faster than in fp32.

    On a CPU this holds with AMX (6 times, by the design's measurement) and with AMD's avx512_bf16
    (used for the trainings of docs/results.md; the products alone were not measured). Intel's
    avx512_bf16 without AMX is half as fast as fp32 (docs/performance.md)."""
    if device.type == "cpu":
        if torch.cpu._is_amx_tile_supported():
            return True
        return torch.cpu._is_avx512_bf16_supported() and _cpu_vendor() == "AuthenticAMD"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return False


def _cpu_vendor() -> str:
    """The vendor that /proc/cpuinfo names; empty where the file is missing (not Linux)."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    found = re.search(r"^vendor_id\s*:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """The dtype for `precision` on this device. `auto` means bf16 where it is fast, else fp32."""
    if precision == "auto":
        return torch.bfloat16 if has_fast_bf16(device) else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


def resolve_attention(attention: str, device: torch.device) -> str:
    """The name of the attention to use. `auto` means packed on a CPU, where it is faster for short
    rows (docs/performance.md), and sdpa elsewhere."""
    if attention != "auto":
        return attention
    return "packed" if device.type == "cpu" else "sdpa"


COMPILE_FLOPS = 2.5e14
"""A training with this many operations gains from torch.compile. Compiling costs 33 to 86 s and
saves 8 to 26 %. On machines of 0.2 and 0.7 TFLOP/s this pays from 0.9e14 and 2.4e14 operations on
(docs/performance.md, "Rules")."""


def resolve_compile(wanted: str, num_flops: float, device: torch.device) -> bool:
    """Whether to compile a training of `num_flops` floating-point operations (6 N D).

    `auto` does not depend on a measured time, because equal inputs must give equal bytes."""
    if wanted != "auto":
        return wanted == "always"
    # torch.compile needs a C++ compiler on a CPU
    has_compiler = shutil.which("g++") is not None or shutil.which("clang++") is not None
    return device.type == "cpu" and num_flops >= COMPILE_FLOPS and has_compiler
