"""Check the header of a GGUF file: its readers believe every count in it, and loop that often.

The format: github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from pathlib import Path

from lamol_core.models.foreign import foreign

VERSIONS = (2, 3)
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""The bytes of a number, by its type."""
INTEGERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 10: "Q", 11: "q"}
STRING, ARRAY = 8, 9
MOST_DIMENSIONS = 8
MOST_PER_BYTE = 8
"""Numbers: no kind of quantisation takes less than a bit."""
MOST_OF_A_KIND = 10_000
"""Blocks, heads or experts of a model: loops run so often when it is made."""


def count_gguf_weights(path: Path) -> int:
    """How many numbers the tensors of a GGUF file hold, by its header. Raises ConfigError where the
    header ends beyond the file, or counts what no model has."""
    with (
        foreign(f"{path}: its GGUF header can't be read"),
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return _Walk(content).through()


class _Walk:
    """A place in a file, which moves on as it reads. Raises struct.error at the file's end."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content, self._at = content, 4  # behind the mark

    def through(self) -> int:
        version = self._number("I")
        if version not in VERSIONS:
            raise ValueError(f"version {version}")
        num_tensors, num_values = self._number("Q"), self._number("Q")
        for _ in range(num_values):
            key, kind = self._string(), self._number("I")
            if not key.endswith(b"_count") or key.startswith((b"general.", b"tokenizer.")):
                self._skip_value(kind)
                continue
            most = num_tensors if key.endswith(b".block_count") else MOST_OF_A_KIND
            for count in self._counts(kind):
                if count > most:
                    raise ValueError(f"{key.decode(errors='replace')}: {count}")
        return sum(self._tensor() for _ in range(num_tensors))

    def _tensor(self) -> int:
        """The numbers in a tensor."""
        name, num_dimensions = self._string(), self._number("I")
        if num_dimensions > MOST_DIMENSIONS:
            raise ValueError(f"tensor {name!r} has {num_dimensions} dimensions")
        num = math.prod(self._number("Q") for _ in range(num_dimensions))
        self._skip(4)
        if max(self._number("Q"), num // MOST_PER_BYTE) > len(self._content):
            raise ValueError(f"tensor {name!r} does not lie within the file")
        return num

    def _counts(self, kind: int) -> list[int]:
        """A count, or the counts of all blocks."""
        if kind == ARRAY:
            kind, num = self._number("I"), self._number("Q")
        else:
            num = 1
        if kind not in INTEGERS:
            raise ValueError("a count is no integer")
        counts = struct.unpack_from(f"<{num}{INTEGERS[kind]}", self._content, self._at)
        self._skip(num * WIDTHS[kind])
        return list(counts)

    def _skip_value(self, kind: int) -> None:
        num = 1
        if kind == ARRAY:
            kind, num = self._number("I"), self._number("Q")
        if kind == STRING:
            for _ in range(num):
                self._string()
        elif kind in WIDTHS:
            self._skip(num * WIDTHS[kind])
        else:
            raise ValueError(f"a value of type {kind}")

    def _number(self, form: str) -> int:
        (number,) = struct.unpack_from(f"<{form}", self._content, self._at)
        self._at += struct.calcsize(f"<{form}")
        return int(number)

    def _string(self) -> bytes:
        length = self._number("Q")
        start = self._at
        self._skip(length)
        return self._content[start : self._at]

    def _skip(self, num_bytes: int) -> None:
        self._at += num_bytes
        if self._at > len(self._content):
            raise ValueError("the file ends before its header does")
