"""What replay keeps: a reservoir of real rows, some of which every step sees again."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lamol_core.artifacts.spec import STATE, remedy
from lamol_core.artifacts.tables import read_rows, write_rows
from lamol_core.errors import ArtifactError
from lamol_core.methods.memory import LogitsOf, Memory, MemoryContext, file_of_state
from lamol_core.methods.replay import ReplayParams
from lamol_core.methods.reservoir import Reservoir
from lamol_core.records import MemoryRow, from_table
from lamol_core.seeds import derive_seed
from lamol_core.text.encoded import EncodedRow

ROWS, STREAM = "memory.parquet", "memory.json"


class RowMemory(Memory):
    """A reservoir of real rows, some of which every step sees again."""

    def __init__(self, params: ReplayParams, context: MemoryContext) -> None:
        self._batch_size, self._seed = params.batch_size, context.seed
        self._decode: Callable[[Sequence[int]], str] = context.decode
        self._rows: list[EncodedRow] = []
        self._reservoir = Reservoir(params.buffer_size, context.seed)

    def read(self, folder: Path) -> None:
        mend = remedy(STATE, folder.parent.name)
        table = read_rows(file_of_state(folder, ROWS), STATE.schema, mend)
        self._rows = [
            EncodedRow(row.row_id, "memory", row.input_ids, row.target_ids, row.gen_token)
            for row in from_table(table, MemoryRow)
        ]
        stream = json.loads(file_of_state(folder, STREAM).read_text(encoding="utf-8"))
        if stream["buffer_size"] != self._reservoir.size:
            raise ArtifactError(
                f"{folder}: was kept with buffer_size {stream['buffer_size']}, params.yaml says "
                f"{self._reservoir.size}. Keep it, or run the tasks before again with `dvc repro`."
            )
        self._reservoir.num_seen = stream["rows_seen"]

    def rows(self, step: int) -> Sequence[EncodedRow]:
        chosen = random.Random(derive_seed(self._seed, "memory", self._reservoir.num_seen, step))
        places = chosen.sample(range(len(self._rows)), min(self._batch_size, len(self._rows)))
        # a row may be held in several places: its id there tells them apart
        return [
            replace(self._rows[place], row_id=f"{self._rows[place].row_id}#{place}")
            for place in sorted(places)
        ]

    def observe(self, rows: Sequence[EncodedRow], logits_of: LogitsOf) -> None:
        self._take(rows)

    def write(self, folder: Path) -> dict[str, int]:
        kept = []
        for slot, row in enumerate(self._rows):
            x, y = list(row.input_ids), list(row.target_ids)
            texts = self._decode(x), self._decode(y)
            kept.append(MemoryRow(slot, row.row_id, *texts, x, y, row.gen_token))
        write_rows(folder / ROWS, kept, STATE.schema)
        stream = {"rows_seen": self._reservoir.num_seen, "buffer_size": self._reservoir.size}
        (folder / STREAM).write_text(json.dumps(stream) + "\n", encoding="utf-8")
        return {"real_rows": len({row.row_id for row in kept}), "slots": len(kept)}

    def _take(self, rows: Sequence[EncodedRow]) -> dict[int, EncodedRow]:
        """Offer rows to the reservoir; gives those that were taken, by their places."""
        taken: dict[int, EncodedRow] = {}
        for row in rows:
            place = self._reservoir.next_place()
            if place is None:
                continue
            taken[place] = row
            self._rows[place : place + 1] = [replace(row, origin="memory")]
        return taken
