"""DER++ (Buzzega et al. 2020, "Dark Experience for General Continual Learning", algorithm 2).

    L = CE_qa(new) + beta CE_qa(memory) + alpha MSE_qa(memory)

MSE is the mean over tokens and vocabulary of (z - h)^2, where h are the student's logits and z
those that were stored when the row entered the memory; they are never computed again. One draw of
the memory serves both terms. Every row that is trained on is offered to the reservoir, in every
epoch, with the logits that the student gives it then.
It KEEPS REAL ROWS of earlier tasks, `buffer_size` at the most, and their logits (fp16) besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lamol_core.config.blocks import DerppParams
from lamol_core.methods.memory import LogitsOf, Memory, MemoryContext, file_of_state
from lamol_core.methods.replay import RowMemory
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, cross_entropy, squared_difference
from lamol_core.text.encoded import EncodedRow

LOGITS = "logits.safetensors"


class Derpp(Method):
    def __init__(self, params: DerppParams) -> None:
        self._params = params

    @property
    def loss(self) -> Loss:
        ce_new, ce_memory = cross_entropy("qa", "new"), cross_entropy("qa", "memory")
        mse_memory = squared_difference("qa")
        return ce_new + self._params.beta * ce_memory + self._params.alpha * mse_memory

    def memory(self, context: MemoryContext) -> Memory:
        return LogitMemory(self._params, context)

    def parameters(self, has_pseudo_rows: bool) -> dict[str, Any]:
        return self._params.model_dump()


class LogitMemory(RowMemory):
    """A reservoir of real rows with the logits that the student gave when they entered it."""

    def __init__(self, params: DerppParams, context: MemoryContext) -> None:
        super().__init__(params, context)
        self._logits: dict[int, Tensor] = {}

    def read(self, folder: Path) -> None:
        super().read(folder)
        stored = load_file(file_of_state(folder, LOGITS))
        self._logits = {int(place): logits for place, logits in stored.items()}

    def logits(self, row_id: str) -> Tensor:
        return self._logits[int(row_id.rpartition("#")[2])]

    def observe(self, rows: Sequence[EncodedRow], logits_of: LogitsOf) -> None:
        taken = self._take(rows)
        if taken:
            computed = logits_of(list(taken.values()))
            for place, logits in zip(taken, computed, strict=True):
                self._logits[place] = logits.to("cpu", torch.float16)

    def write(self, folder: Path) -> dict[str, int]:
        counts = super().write(folder)
        named = {f"{place:06d}": logits.contiguous() for place, logits in self._logits.items()}
        save_file(dict(sorted(named.items())), folder / LOGITS)
        return {**counts, "logit_tokens": sum(len(logits) for logits in named.values())}
