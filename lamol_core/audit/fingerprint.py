"""What `forget.keep_fingerprint` leaves of a task's forgotten rows: hashes of runs, and histograms.

In `data/T/`: `fingerprint.parquet` has keyed hashes of runs of words and of whole rows, both of
five words or more, `fingerprint.json` histograms and figures. The key is in another place.
WHAT LEAKS: who has the key too can find out whether a text that he guesses stood in the rows;
without it label counts, lengths and figures, and which blocks share a run. docs/audit.md has more.
"""

import io
import json
import os
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lamol_core.artifacts.figures import read_json
from lamol_core.artifacts.tables import read_rows
from lamol_core.audit.memorisation.keyed_hash import Hashes, KeyedHash
from lamol_core.audit.reference import Figure, Measure, Reference
from lamol_core.errors import ArtifactError

HASHES, FIGURES = "fingerprint.parquet", "fingerprint.json"
KEY_BYTES = 32
HASH_SCHEMA = pa.schema([("side", pa.string()), ("block", pa.int32()), ("hash", pa.int64())])
TRAIN, HELD_OUT = "train", "held_out"
TRAIN_REST, HELD_OUT_REST = "train_rest", "held_out_rest"


@dataclass(frozen=True)
class Fingerprint(Reference):
    """Blocks of training and held-out rows as hashes, and figures of the training rows:
    `figures[measure][size]` are those of `size` of them, drawn at random."""

    hashed: KeyedHash
    train: Sequence[Hashes]
    held_out: Sequence[Hashes]
    train_rest: Hashes
    """Training rows of no block."""
    held_out_rest: Hashes
    label_counts: Mapping[str, int] = field(default_factory=dict)
    length_counts: Mapping[int, int] = field(default_factory=dict)
    figures: Mapping[str, Mapping[int, Mapping[str, Figure]]] = field(default_factory=dict)

    @property
    def all_train(self) -> Hashes:
        return np.unique(np.concatenate([*self.train, self.train_rest]))

    @property
    def all_held_out(self) -> Hashes:
        return np.unique(np.concatenate([*self.held_out, self.held_out_rest]))

    def can_tell(self, text: str) -> bool:
        """Whether a normalised text is long enough to be looked for."""
        return self.hashed.row(text) is not None

    @property
    def labels(self) -> Counter[str]:
        return Counter(self.label_counts)

    @property
    def lengths(self) -> list[int]:
        return [length for length, count in self.length_counts.items() for _ in range(count)]

    def size_for(self, most: int) -> int:
        sizes = (size for by_size in self.figures.values() for size in by_size)
        return max((size for size in sizes if size <= most), default=0)

    def measured(self, measure: Measure, size: int, chooser: Random) -> Mapping[str, Figure]:
        return self.figures[measure.__name__].get(size, {})


def to_files(fingerprint: Fingerprint) -> dict[str, bytes]:
    """The two files, by name."""
    blocks = [
        *((TRAIN, place, hashes) for place, hashes in enumerate(fingerprint.train)),
        *((HELD_OUT, place, hashes) for place, hashes in enumerate(fingerprint.held_out)),
        (TRAIN_REST, 0, fingerprint.train_rest),
        (HELD_OUT_REST, 0, fingerprint.held_out_rest),
    ]
    table = pa.table(
        {
            "side": [side for side, _, hashes in blocks for _ in hashes],
            "block": [block for _, block, hashes in blocks for _ in hashes],
            "hash": np.concatenate([hashes for *_, hashes in blocks]),
        },
        schema=HASH_SCHEMA,
    )
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    told = {
        "about": "Kept of rows that were forgotten (forget.keep_fingerprint); docs/audit.md",
        "key_check": fingerprint.hashed.of("check", ""),
        "labels": dict(sorted(fingerprint.label_counts.items())),
        "lengths": dict(sorted(fingerprint.length_counts.items())),
        "figures": fingerprint.figures,
    }
    return {HASHES: stream.getvalue(), FIGURES: (json.dumps(told, indent=1) + "\n").encode()}


def read_fingerprint(folder: Path, key_file: Path) -> Fingerprint | None:
    """What a folder of `data/` has; None without one, or without the key it was made with."""
    if not (folder / FIGURES).is_file() or not key_file.is_file():
        return None
    remedy = f"Delete {folder / FIGURES}: later audits then do without the fingerprint."
    told = read_json(folder / FIGURES, remedy)
    hashed = KeyedHash(read_key(key_file))
    if hashed.of("check", "") != told.get("key_check"):
        return None
    table = read_rows(folder / HASHES, HASH_SCHEMA, remedy)
    sides = np.array(table["side"].to_pylist(), dtype=object)
    blocks, hashes = table["block"].to_numpy(), table["hash"].to_numpy()

    def of_side(side: str) -> list[NDArray[np.int64]]:
        here = sides == side
        return [hashes[here & (blocks == place)] for place in sorted(set(blocks[here].tolist()))]

    def of_rest(side: str) -> NDArray[np.int64]:
        return hashes[sides == side]

    return Fingerprint(
        hashed,
        of_side(TRAIN),
        of_side(HELD_OUT),
        of_rest(TRAIN_REST),
        of_rest(HELD_OUT_REST),
        told["labels"],
        {int(length): count for length, count in told["lengths"].items()},
        {
            measure: {int(size): figures for size, figures in by_size.items()}
            for measure, by_size in told["figures"].items()
        },
    )


def read_key(path: Path) -> bytes:
    """Raises ArtifactError where the file holds no key."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError as error:
        raise ArtifactError(f"{path}: holds no key ({error}). Put the right one back.") from error
    if len(key) != KEY_BYTES:
        raise ArtifactError(f"{path}: holds no key of {KEY_BYTES} bytes. Put the right one back.")
    return key


def own_key(path: Path) -> bytes:
    """The key at a path; a new random one, for its owner alone to read, where there is none."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(KEY_BYTES))
    return read_key(path)
