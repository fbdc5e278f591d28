"""Experience replay of a reservoir (Chaudhry et al. 2019, "On Tiny Episodic Memories").

    L = CE_qa       over the new rows of a batch and as many of the memory as `batch_size` says

Every row that is trained on is offered to the memory, in every epoch; a reservoir decides.
"""

from lamol_core.config.section import Count, Section
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, ce


class ReplayParams(Section):
    """A reservoir of real rows, and how many of them each step of training sees."""

    buffer_size: Count = 200
    batch_size: Count = 32


class Replay(Method[ReplayParams]):
    name, Params = "replay", ReplayParams
    keeps_real_rows = True
    privacy = "KEEPS REAL ROWS of earlier tasks, `buffer_size` at the most."

    @property
    def loss(self) -> Loss:
        return ce("qa", "new", "memory")

    def memory(self, context: MemoryContext) -> Memory:
        from lamol_core.methods.replay_memory import RowMemory

        return RowMemory(self.params, context)
