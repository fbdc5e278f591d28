"""Experience replay with a reservoir (Chaudhry et al. 2019, "On Tiny Episodic Memories").

    L = CE_qa       over the new rows of a batch and `batch_size` rows of the memory

Every trained row is offered to the memory in every epoch; a reservoir decides which rows it keeps.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lamol_core.artifacts.spec import STATE, remedy
from lamol_core.artifacts.tables import read_rows, write_rows
from lamol_core.config.section import Count, Section
from lamol_core.errors import ArtifactError
from lamol_core.methods.memory import LogitsOf, Memory, MemoryContext, file_of_state
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, ce
from lamol_core.records import MemoryRow, from_table, in_pairs, to_history
from lamol_core.seeds import derive_seed
from lamol_core.text.encoded import EncodedRow

ROWS, STREAM = "memory.parquet", "memory.json"


class ReplayParams(Section):
    """The reservoir of real rows.

    Attributes:
        buffer_size: Real rows that it holds.
        batch_size: Rows of it that each training step adds to its batch.
    """

    buffer_size: Count = 200
    batch_size: Count = 32


@dataclass
class Reservoir:
    """Chooses the slot of a stream's next item (Vitter 1985, algorithm R).

    After n items each of them is held with probability min(size / n, 1). A choice depends only on
    the seed and the item's number, so a stream that was interrupted continues with the same
    choices."""

    size: int
    seed: int
    num_seen: int = 0

    def next_slot(self) -> int | None:
        """The slot, 0 to size - 1, in which the next item is stored; None if the item is not
        kept."""
        number = self.num_seen
        self.num_seen += 1
        if number < self.size:
            return number
        slot = random.Random(derive_seed(self.seed, "reservoir", number)).randrange(number + 1)
        return slot if slot < self.size else None


class RowMemory(Memory):
    """A reservoir of real rows. Every training step draws some of them again."""

    def __init__(self, params: ReplayParams, context: MemoryContext) -> None:
        self._batch_size, self._context = params.batch_size, context
        self._rows: list[EncodedRow] = []
        self._reservoir = Reservoir(params.buffer_size, context.seed)

    def read(self, folder: Path) -> None:
        path = file_of_state(folder, ROWS)
        table = read_rows(path, STATE.schema, remedy(STATE, folder.parent.name))
        self._rows = [self._encoded(row) for row in from_table(table, MemoryRow)]
        stream = json.loads(file_of_state(folder, STREAM).read_text(encoding="utf-8"))
        if stream["buffer_size"] != self._reservoir.size:
            raise ArtifactError(
                f"{folder}: made with buffer_size {stream['buffer_size']}, but params.yaml says "
                f"{self._reservoir.size}. Write the first one again, or run `dvc repro`: it learns "
                "earlier tasks again."
            )
        self._reservoir.num_seen = stream["rows_seen"]

    def _encoded(self, row: MemoryRow) -> EncodedRow:
        texts = row.input_ids, row.target_ids, in_pairs(row.history_ids)
        return self._context.template.row(row.row_id, "memory", row.task, *texts)

    def rows(self, step: int) -> Sequence[EncodedRow]:
        seed = derive_seed(self._context.seed, "memory", self._reservoir.num_seen, step)
        num_rows = len(self._rows)
        slots = random.Random(seed).sample(range(num_rows), min(self._batch_size, num_rows))
        # a row may be held in several slots: the number keeps their ids apart
        held = ((slot, self._rows[slot]) for slot in sorted(slots))
        return [replace(row, row_id=f"{row.row_id}#{slot}") for slot, row in held]

    def observe(self, rows: Sequence[EncodedRow], logits_of: LogitsOf) -> None:
        self._take(rows)

    def write(self, folder: Path) -> dict[str, int]:
        kept, codec = [], self._context.codec
        for slot, row in enumerate(self._rows):
            *history, (x, y) = (
                (codec.decode_input(user), codec.decode_target(answer))
                for user, answer in [*row.history, (row.input_ids, row.target_ids)]
            )
            ids = list(row.input_ids), list(row.target_ids)
            turns = [list(text) for turn in row.history for text in turn]
            texts = x, y, *ids, to_history(history), turns
            kept.append(MemoryRow(slot, row.row_id, row.task, *texts))
        write_rows(folder / ROWS, kept, STATE.schema)
        stream = {"rows_seen": self._reservoir.num_seen, "buffer_size": self._reservoir.size}
        (folder / STREAM).write_text(json.dumps(stream) + "\n", encoding="utf-8")
        return {"real_rows": len({row.row_id for row in kept}), "slots": len(kept)}

    def _take(self, rows: Sequence[EncodedRow]) -> dict[int, EncodedRow]:
        """Offer rows to the reservoir; returns the rows that it took, by slot."""
        taken: dict[int, EncodedRow] = {}
        for row in rows:
            if (slot := self._reservoir.next_slot()) is not None:
                taken[slot] = row
                self._rows[slot : slot + 1] = [replace(row, origin="memory")]
        return taken


class Replay(Method[ReplayParams]):
    name, Params = "replay", ReplayParams
    keeps_real_rows = True
    privacy = "KEEPS REAL ROWS of earlier tasks, at most `buffer_size`."

    @property
    def loss(self) -> Loss:
        return ce("qa", "new", "memory")

    def memory(self, context: MemoryContext) -> Memory:
        return RowMemory(self.params, context)
