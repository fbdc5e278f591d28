"""Canaries: random sentences planted among a task's training rows, to see whether they come back.

Carlini et al. 2019, "The Secret Sharer". A canary is a sentence about nothing with a secret of
eight digits; no other row has it, so a pseudo-sample that holds the secret was memorised.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lamol_core.artifacts.spec import DATA, remedy
from lamol_core.data.columns import RawRow
from lamol_core.errors import ArtifactError
from lamol_core.seeds import derive_seed

CANARIES = "canaries.json"
SUBJECTS = ("the number of the blue door", "the code of the old safe", "the key to the third box")
DIGITS = 8


@dataclass(frozen=True)
class Canary:
    """What was planted: `start` and a secret make its input."""

    row_id: str
    start: str
    secret: str

    @property
    def text(self) -> str:
        return f"{self.start} {self.secret}"


def make_canaries(
    task: str, count: int, train: Sequence[RawRow], seed: int
) -> tuple[list[Canary], list[RawRow]]:
    """`count` canaries, to follow a task's training rows, and the rows that they are; each has the
    target of one of the real rows."""
    chooser = random.Random(derive_seed(seed, "canaries", task))
    canaries, rows = [], []
    for place in range(count):
        subject = SUBJECTS[place % len(SUBJECTS)]
        canary = Canary(
            row_id=f"{task}/train/{len(train) + place:06d}",
            start=f"{subject} {place + 1} is",
            secret="".join(chooser.choices("0123456789", k=DIGITS)),
        )
        canaries.append(canary)
        rows.append(RawRow(canary.text, chooser.choice(train).target))
    return canaries, rows


def write_canaries(folder: Path, canaries: Sequence[Canary]) -> None:
    text = json.dumps([asdict(canary) for canary in canaries], indent=1)
    (folder / CANARIES).write_text(text + "\n", encoding="utf-8")


def read_canaries(folder: Path) -> list[Canary]:
    """Those planted in a task; [] where there are none. Raises ArtifactError when broken."""
    path = folder / CANARIES
    if not path.is_file():
        return []
    try:
        return [Canary(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"{path}: holds no canaries ({error}). {remedy(DATA, folder.name)}"
        ) from error
