"""How many rows were trained on, over all tasks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lamol_core.methods.toy_counter import ToyCounterParams

from lamol_core.methods.memory import LogitsOf, Memory, file_of_state
from lamol_core.text.encoded import EncodedRow

COUNT = "count.json"


class RowCounter(Memory):
    """One number."""

    def __init__(self, params: ToyCounterParams) -> None:
        self._at_once, self._count = params.at_once, 0

    def read(self, folder: Path) -> None:
        self._count = json.loads(file_of_state(folder, COUNT).read_text(encoding="utf-8"))

    def observe(self, rows: Sequence[EncodedRow], logits_of: LogitsOf) -> None:
        self._count += self._at_once * len(rows)

    def write(self, folder: Path) -> dict[str, int]:
        (folder / COUNT).write_text(json.dumps(self._count), encoding="utf-8")
        return {"rows_counted": self._count, "real_rows": 0}
