"""L = CE_qa, beside a memory that counts rows (toy_counter_memory.py)."""

from __future__ import annotations

from lamol_core.config.section import Count, Section
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, ce


class ToyCounterParams(Section):
    """`at_once`: what a row counts for."""

    at_once: Count = 1


class ToyCounter(Method[ToyCounterParams]):
    name, Params = "toy_counter", ToyCounterParams
    privacy = "Keeps a number."

    @property
    def loss(self) -> Loss:
        return ce("qa", "new")

    def memory(self, context: MemoryContext) -> Memory:
        from lamol_core.methods.toy_counter_memory import RowCounter

        return RowCounter(self.params)
