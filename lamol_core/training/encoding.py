"""The rows of a mix as token ids: real ones by their id from `data/`, pseudo ones as drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamol_core.artifacts.spec import MIX, remedy
from lamol_core.errors import ArtifactError
from lamol_core.records import Example, MixRow, PseudoSample
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.template import cut_input
from lamol_core.text.tokenizer import TextCodec


@dataclass(frozen=True)
class TrainingSet:
    """A mix with the rows it refers to; `lineage` names the tasks in learning order, this last.

    `task_specific_token`: the GEN view begins with GEN_t, else with the shared GEN. `max_length`
    is that of a row in tokens; inputs are cut for it.
    """

    mix: Sequence[MixRow]
    real: Sequence[Example]
    pseudo: Sequence[PseudoSample]
    lineage: tuple[str, ...]
    task_specific_token: bool = True
    max_length: int = 256

    @property
    def has_pseudo_rows(self) -> bool:
        return any(row.origin == "pseudo" for row in self.mix)

    def encode(self, codec: TextCodec) -> tuple[list[EncodedRow], int]:
        """Its rows as token ids, in the mix's order, and how many inputs were cut.

        Raises ArtifactError when the mix names a row that is not there, or was rejected, and
        ConfigError, naming the row, where a target alone does not fit `max_length`.
        """
        gen_tokens = {
            name: codec.control.gen_for(index, self.task_specific_token)
            for index, name in enumerate(self.lineage)
        }
        inputs = codec.encode([row.input for row in self.real])
        targets = codec.encode([row.target for row in self.real])
        ids = {row.row_id: pair for row, *pair in zip(self.real, inputs, targets, strict=True)}
        ids |= {row.row_id: [row.input_ids, row.target_ids] for row in self.pseudo if row.valid}
        rows, num_cut = [], 0
        for row in self.mix:
            if row.row_id not in ids:
                raise ArtifactError(
                    f"mix.parquet: row {row.row_id!r} is neither in data/ nor a valid row of "
                    f"pseudo.parquet. {remedy(MIX, self.lineage[-1])}"
                )
            x, y = ids[row.row_id]
            kept, cut = cut_input(x, y, self.max_length, row.row_id)
            rows.append(EncodedRow(row.row_id, row.origin, kept, y, gen_tokens[row.source_task]))
            num_cut += cut
        return rows, num_cut
