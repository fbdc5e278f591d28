"""Describe the machine on which figures are measured, without a network."""

import os
import platform
import re
import resource
import sys
from pathlib import Path

from lamol_core import __version__


def describe_machine() -> dict[str, str]:
    """The software and hardware of this process, by name. `threads` is the limit set for it."""
    return {
        "lamol": __version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "threads": os.environ.get("OMP_NUM_THREADS", "one a core"),
        "memory": _memory(),
    }


def peak_memory_bytes() -> int:
    """The peak memory of this process so far, in bytes (resident set)."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def memory_bytes() -> int | None:
    """The memory of this machine, in bytes; None where the system doesn't tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # no such name on this system
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8", errors="replace") if info.is_file() else ""
    found = re.search(r"^model name[^:]*:(.*)", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or "unknown"


def _memory() -> str:
    num_bytes = memory_bytes()
    return "unknown" if num_bytes is None else f"{num_bytes / 1e9:.0f} GB"
