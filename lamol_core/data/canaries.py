"""Canaries: sentences planted in a task's training rows, to see if a model memorises them.

A canary ends with a secret of eight random digits. No other row has the secret, so a pseudo-sample
that contains it was memorised. Two kinds take turns:

sentence   begins as no other row does: "the key to the third box 3 is 83920174". A likelihood finds
           it best. Carlini et al. 2019, "The Secret Sharer"
opening    begins as other rows of its task do, so that a model that writes rows of the task comes
           to its secret. Drawn rows find it best. Meeus et al. 2025, "The Canary's Echo"
"""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path

from lamol_core.artifacts.figures import read_json_as
from lamol_core.artifacts.spec import DATA, remedy
from lamol_core.data.columns import RawRow
from lamol_core.records import row_id
from lamol_core.seeds import derive_seed

CANARIES = "canaries.json"
SUBJECTS = ("the number of the blue door", "the code of the old safe", "the key to the third box")
DIGITS = 8
OPENING_WORDS = 4  # of an opening, at most


@dataclass(frozen=True)
class Canary:
    """A planted row. Its input is `start`, a space and `secret`. `target`: its label; "" for free
    text, which would be a row's own."""

    row_id: str
    start: str
    secret: str
    target: str = ""

    @property
    def text(self) -> str:
        return f"{self.start} {self.secret}"

    def with_another_secret(self, rng: random.Random) -> "Canary":
        return replace(self, secret=draw_secret(rng))


def draw_secret(rng: random.Random) -> str:
    return "".join(rng.choices("0123456789", k=DIGITS))


def make_canaries(
    task: str, count: int, train: Sequence[RawRow], seed: int, has_classes: bool = False
) -> tuple[list[Canary], list[RawRow]]:
    """Make `count` canaries for a task; returns them and their rows, in the same order.

    Their row ids continue those of `train`. Each row is a random row of `train` with another input
    and no earlier turns, because a canary is scored right after the prompt. An opening is shared by
    at least two rows: the file of canaries outlives the rows."""
    rng = random.Random(derive_seed(seed, "canaries", task))
    shared = _shared_openings(train) if count else {}
    canaries, rows = [], []
    for i in range(count):
        start = f"{SUBJECTS[i % len(SUBJECTS)]} {i + 1} is"
        secret = draw_secret(rng)
        like = rng.choice(train)
        if i % 2 and shared:
            like, start = rng.choice(list(shared.items()))
        label = like.target if has_classes else ""
        canary = Canary(row_id(task, "train", len(train) + i), start, secret, label)
        canaries.append(canary)
        rows.append(replace(like, input=canary.text, history=""))
    return canaries, rows


def _shared_openings(train: Sequence[RawRow]) -> dict[RawRow, str]:
    """The longest opening of each row that another row of its target has too, if it has one."""
    openings = {
        row: [*accumulate(row.input.split()[:OPENING_WORDS], "{} {}".format)]
        for row in dict.fromkeys(train)
    }
    counts = Counter((row.target, start) for row, starts in openings.items() for start in starts)
    shared = {}
    for row, starts in openings.items():
        if known := [start for start in starts if counts[row.target, start] > 1]:
            shared[row] = known[-1]
    return shared


def write_canaries(folder: Path, canaries: Sequence[Canary]) -> None:
    text = json.dumps([asdict(canary) for canary in canaries], indent=1)
    (folder / CANARIES).write_text(text + "\n", encoding="utf-8")


def read_canaries(folder: Path) -> list[Canary]:
    """The canaries in a task's data folder; [] where it has none. Raises ArtifactError where the
    file is broken."""
    path = folder / CANARIES
    if not path.is_file():
        return []
    return read_json_as(list[Canary], path, remedy(DATA, folder.name))
