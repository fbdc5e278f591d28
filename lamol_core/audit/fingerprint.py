"""The fingerprint of forgotten rows, which `forget.keep_fingerprint` keeps for later audits.

In `data/T/`, `fingerprint.parquet` holds keyed hashes of runs of words and of whole rows, each of
at least five words; `fingerprint.json` holds histograms and figures. The key is kept elsewhere.
WHAT LEAKS: whoever has the key can test whether a guessed text stood in the rows. Without the key
the files show label counts, lengths, figures, and which blocks share a run. docs/audit.md has more.
"""

import io
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lamol_core.artifacts.figures import read_json
from lamol_core.artifacts.tables import read_rows
from lamol_core.audit.figures import Figure
from lamol_core.audit.memorisation.keyed_hash import Hashes, KeyedHash
from lamol_core.audit.reference import Measure, Reference
from lamol_core.errors import ArtifactError

HASHES, FIGURES = "fingerprint.parquet", "fingerprint.json"
KEY_BYTES = 32
HASH_SCHEMA = pa.schema([("side", pa.string()), ("block", pa.int32()), ("hash", pa.int64())])
SIDES = ("train", "held_out", "train_rest", "held_out_rest")


@dataclass(frozen=True, kw_only=True)
class Fingerprint(Reference):
    """Hashes of a task's real rows, and figures of its training rows.

    `blocks[side]` lists the sorted hashes of each block of rows, for each of SIDES. The rows
    outside of all blocks form one block, under "train_rest" or "held_out_rest".
    `figures[measure][size]` are the figures of `size` training rows, drawn at random."""

    hashed: KeyedHash
    blocks: Mapping[str, Sequence[Hashes]]
    figures: Mapping[str, Mapping[int, Mapping[str, Figure]]]

    def all_hashes(self, side: str) -> Hashes:
        """Return the sorted hashes of all "train" or all "held_out" rows, whether in a block or
        not."""
        nothing = np.array([], np.int64)
        return np.unique(
            np.concatenate([nothing, *self.blocks[side], *self.blocks[f"{side}_rest"]])
        )

    def covers(self, text: str) -> bool:
        """Whether a normalised text is long enough to be compared with the hashes."""
        return self.hashed.row(text) is not None

    def sample_size(self, limit: int) -> int:
        sizes = (size for by_size in self.figures.values() for size in by_size)
        return max((size for size in sizes if size <= limit), default=0)

    def figures_of(self, measure: Measure, size: int, rng: Random) -> Mapping[str, Figure]:
        return self.figures[measure.__name__].get(size, {})


def to_files(fingerprint: Fingerprint) -> dict[str, bytes]:
    """Return the contents of fingerprint.parquet and fingerprint.json, by file name."""
    blocks = [
        (side, k, block) for side in SIDES for k, block in enumerate(fingerprint.blocks[side])
    ]
    columns = {
        "side": [side for side, _, hashes in blocks for _ in hashes],
        "block": [number for _, number, hashes in blocks for _ in hashes],
        "hash": np.concatenate([hashes for *_, hashes in blocks]),
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns, schema=HASH_SCHEMA), stream, compression="zstd")
    content = {
        "about": "Kept of rows that were forgotten (forget.keep_fingerprint); docs/audit.md",
        "key_check": fingerprint.hashed.of("check", ""),
        "labels": dict(sorted(fingerprint.labels.items())),
        "lengths": dict(sorted(fingerprint.lengths.items())),
        "figures": fingerprint.figures,
    }
    return {HASHES: stream.getvalue(), FIGURES: (json.dumps(content, indent=1) + "\n").encode()}


def read_fingerprint(folder: Path, key_file: Path) -> Fingerprint | None:
    """Return the fingerprint in a task's folder of `data/`. None where there is none, where the
    key is missing, or where the hashes were made with another key."""
    if not (folder / FIGURES).is_file() or not key_file.is_file():
        return None
    remedy = f"Delete {folder / FIGURES}: later audits then do without the fingerprint."
    content = read_json(folder / FIGURES, remedy)
    hashed = KeyedHash(read_key(key_file))
    if hashed.of("check", "") != content.get("key_check"):
        return None
    table = read_rows(folder / HASHES, HASH_SCHEMA, remedy)
    sides = np.array(table["side"].to_pylist(), dtype=object)
    numbers, hashes = table["block"].to_numpy(), table["hash"].to_numpy()

    def blocks_of(side: str) -> list[Hashes]:
        own = sides == side
        return [hashes[own & (numbers == number)] for number in np.unique(numbers[own])]

    return Fingerprint(
        hashed=hashed,
        blocks={side: blocks_of(side) for side in SIDES},
        labels=Counter(content["labels"]),
        lengths=Counter({int(length): count for length, count in content["lengths"].items()}),
        figures={
            measure: {int(size): figures for size, figures in by_size.items()}
            for measure, by_size in content["figures"].items()
        },
    )


def read_key(path: Path) -> bytes:
    """Read the key of the fingerprints' hashes. Raises ArtifactError where the file holds no
    key."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ArtifactError(f"{path}: holds no key of {KEY_BYTES} bytes. Put the right one back.")
    return key


def own_key(path: Path) -> bytes:
    """Return the key in a file. Where the file is missing, write a new random key that only its
    owner can read."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600, exist_ok=False)
        path.write_text(secrets.token_hex(KEY_BYTES), encoding="ascii")
    return read_key(path)
