"""Headers of GGUF files that promise more than the file has, or than a model can be."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from lamol_core.pipeline.init import make_params
from tests.models.foreign_models import gguf_bytes, gguf_text, gguf_value, refused

HUGE = struct.pack("<IQ", 4, 10**15)
"""An array of so many numbers."""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGUF",
        b"GGUFGGUFGGUFGGUFGGUFGGUF",
        gguf_bytes(version=9),
        gguf_bytes(num=10**15),
        gguf_bytes(tensors=10**15),
        gguf_bytes(gguf_value("a", 9, HUGE)),
        gguf_bytes(gguf_value("a", 8, struct.pack("<Q", 2**63))),
        gguf_bytes(gguf_value("a", 99, b"")),
        gguf_bytes(gguf_value("llama.block_count", 4, struct.pack("<I", 10**9))),
        gguf_bytes(gguf_value("llama.block_count", 6, struct.pack("<f", 1e9))),
        gguf_bytes(gguf_value("llama.expert_count", 10, struct.pack("<Q", 10**9))),
        gguf_bytes(gguf_text("t") + struct.pack("<I", 10**9), tensors=1, num=0),
    ],
)
def test_a_broken_header_is_told_at_once(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    refused(tmp_path / "m.gguf", tmp_path / "m.gguf", kind="gguf")


def test_a_header_that_makes_no_model_is_told_by_the_loader(tmp_path: Path) -> None:
    value = gguf_value("general.architecture", 8, gguf_text("llama"))
    for values in ((), (value,)):
        (tmp_path / "m.gguf").write_bytes(gguf_bytes(*values))
        refused(tmp_path / "m.gguf", tmp_path / "m.gguf", kind="gguf", by_check=False)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.gguf")
    refused(tmp_path / "m.gguf", tmp_path / "m.gguf", kind="gguf")
    (tmp_path / "a.csv").write_text("input,target\na,b\n")
    made = make_params([f"a={tmp_path / 'a.csv'}"], str(tmp_path / "m.gguf"))
    assert made["backbone"]["kind"] == "gguf"
