"""Encode the rows of a mix as token ids. Real rows come from `data/` by id, pseudo rows have their
ids already.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lamol_core.artifacts.spec import MIX, remedy
from lamol_core.errors import ArtifactError
from lamol_core.records import Example, MixRow, PseudoSample, in_pairs
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.template import RowTemplate, TaskPrompts
from lamol_core.text.tokenizer import TextCodec


@dataclass(frozen=True)
class TrainingSet:
    """A mix with the rows it refers to. `prompts` are those of the tasks learnt so far, the present
    one last. `max_length`: the most tokens of a row; longer ones are cut."""

    mix: Sequence[MixRow]
    real: Sequence[Example]
    pseudo: Sequence[PseudoSample]
    prompts: TaskPrompts
    max_length: int

    @property
    def has_pseudo_rows(self) -> bool:
        return bool(self.num_pseudo_rows)

    @property
    def num_pseudo_rows(self) -> Counter[str]:
        """How many pseudo-samples of each earlier task are among the rows."""
        return Counter(row.source_task for row in self.mix if row.origin == "pseudo")

    @property
    def task(self) -> str:
        """The task that is learnt."""
        return self.prompts.tasks[-1]

    def template(self, codec: TextCodec) -> RowTemplate:
        """How the rows become token sequences. Raises ConfigError where a task has no reserved
        token."""
        return codec.template(self.prompts)

    def encode(self, codec: TextCodec) -> tuple[list[EncodedRow], int]:
        """The rows as token ids in the mix's order, and how many of them were cut.

        Raises ArtifactError where the mix names a missing or rejected row. Raises ConfigError,
        which names the row, where a target alone is longer than `max_length` allows, and where the
        template has no place for several turns."""
        template = self.template(codec)
        names = [row.row_id for row in self.real]
        ids = dict(zip(names, codec.encode_rows(self.real), strict=True))
        ids |= {
            row.row_id: (in_pairs(row.history_ids), row.input_ids, row.target_ids)
            for row in self.pseudo
            if row.valid
        }
        rows, num_cut = [], 0
        for row in self.mix:
            if row.row_id not in ids:
                raise ArtifactError(
                    f"mix.parquet: row {row.row_id!r} is neither in data/ nor a valid row of "
                    f"pseudo.parquet. {remedy(MIX, self.task)}"
                )
            fitted, was_cut = template.fitted_row(
                row.row_id, row.origin, row.source_task, ids[row.row_id], self.max_length
            )
            rows.append(fitted)
            num_cut += was_cut
        return rows, num_cut
