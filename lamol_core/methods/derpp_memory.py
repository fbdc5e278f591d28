"""The memory of DER++: a reservoir of real rows, each with the logits (fp16) of its entry."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lamol_core.methods.derpp import DerppParams
from lamol_core.methods.memory import LogitsOf, MemoryContext, file_of_state
from lamol_core.methods.replay import RowMemory
from lamol_core.text.encoded import EncodedRow

LOGITS = "logits.safetensors"


class LogitMemory(RowMemory):
    """A reservoir of real rows. Each row has the logits that the student gave when the row
    entered."""

    def __init__(self, params: DerppParams, context: MemoryContext) -> None:
        super().__init__(params, context)
        self._logits: dict[int, Tensor] = {}

    def read(self, folder: Path) -> None:
        super().read(folder)
        stored = load_file(file_of_state(folder, LOGITS))
        self._logits = {int(slot): logits for slot, logits in stored.items()}

    def logits(self, row_id: str) -> Tensor:
        return self._logits[int(row_id.rpartition("#")[2])]

    def observe(self, rows: Sequence[EncodedRow], logits_of: LogitsOf) -> None:
        taken = self._take(rows)
        for slot, logits in zip(taken, logits_of(list(taken.values())), strict=True):
            self._logits[slot] = logits.to("cpu", torch.float16)

    def write(self, folder: Path) -> dict[str, int]:
        written = super().write(folder)
        named = {f"{slot:06d}": logits.contiguous() for slot, logits in self._logits.items()}
        save_file(dict(sorted(named.items())), folder / LOGITS)
        return {**written, "logit_tokens": sum(len(logits) for logits in named.values())}
