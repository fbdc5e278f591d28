"""The machine that figures were measured on, with the peak of its matrix products."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from statistics import median
from typing import Any

MATRIX_SIZE = 2048
CPU_FLAGS = ("avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


def describe_machine(measure: bool = True) -> dict[str, Any]:
    """Processor, cores, versions, threads and, if asked, TFLOP/s in fp32 and bf16."""
    import torch
    import transformers

    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    parts = [line.partition(":") for line in text.splitlines()]
    fields = {name.strip(): value.strip() for name, _, value in parts}
    flags = fields.get("flags", "").split()
    described: dict[str, Any] = {
        "cpu": fields.get("model name", platform.processor()),
        "cpu_family_model": f"{fields.get('cpu family', '?')}/{fields.get('model', '?')}",
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "threads": torch.get_num_threads(),
        "flags": [flag for flag in CPU_FLAGS if flag in flags],
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    if measure:
        described["tflops"] = {
            "fp32": round(matrix_flops(torch.float32) / 1e12, 4),
            "bf16": round(matrix_flops(torch.bfloat16) / 1e12, 4),
        }
    return described


def matrix_flops(dtype: Any, repeats: int = 7) -> float:
    """Achieved FLOP/s of a product of two square matrices, median of the repeats."""
    import torch

    left = torch.randn(MATRIX_SIZE, MATRIX_SIZE).to(dtype)
    right = torch.randn(MATRIX_SIZE, MATRIX_SIZE).to(dtype)
    torch.mm(left, right)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - started)
    return 2 * MATRIX_SIZE**3 / median(seconds)
