"""The rows of a mix as token ids: real ones by their id from `data/`, pseudo ones as drawn."""

from collections.abc import Sequence

from lamol_core.artifacts.spec import MIX, remedy
from lamol_core.errors import ArtifactError
from lamol_core.records import Example, MixRow, PseudoSample
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.tokenizer import TextCodec


def encode_mix(
    mix: Sequence[MixRow],
    real: Sequence[Example],
    pseudo: Sequence[PseudoSample],
    codec: TextCodec,
    task_names: Sequence[str],
    task_specific_token: bool,
) -> list[EncodedRow]:
    """Join a mix to its rows, in its order. `task_names` are in learning order (GEN_t counts them).

    Raises ArtifactError when the mix names a row that is not there, or was rejected.
    """
    tokens = {
        name: codec.control.gen_for(index, task_specific_token)
        for index, name in enumerate(task_names)
    }
    inputs = codec.encode([row.input for row in real])
    targets = codec.encode([row.target for row in real])
    ids: dict[str, tuple[Sequence[int], Sequence[int]]] = {
        row.row_id: (x, y) for row, x, y in zip(real, inputs, targets, strict=True)
    }
    ids |= {row.row_id: (row.input_ids, row.target_ids) for row in pseudo if row.valid}
    encoded = []
    for row in mix:
        if row.row_id not in ids:
            raise ArtifactError(
                f"mix.parquet: row {row.row_id!r} is neither in data/ nor a valid row of "
                f"pseudo.parquet. {remedy(MIX, task_names[-1])}"
            )
        x, y = ids[row.row_id]
        encoded.append(EncodedRow(row.row_id, row.origin, x, y, tokens[row.source_task]))
    return encoded
