"""Wrong rows, made of real ones: what a check of rows has to find."""

import random
from collections.abc import Iterator, Sequence

from lamol_core.audit.quality.signals import Row
from lamol_core.text.normalise import normalise

LEAST_WORDS = 4


def planted(
    rows: Sequence[Row], foreign: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, Row]]:
    """Yield wrong rows with their kind, some for each right row. `foreign`: inputs of other tasks.

    swapped    another row's target
    mixed      the first half of the input, and the second half of another row's
    shuffled   the input's words in random order
    repeated   two words of the input three times
    cut        the input without its beginning or its end
    foreign    an input of another task
    reworded   a target with one word of another row's target
    """
    for text, target in rows:
        words, said = text.split(), target.split()
        others = [row for row in rows if normalise(row[1]) != normalise(target)]
        if others:
            other = rng.choice(others)
            yield "swapped", (text, other[1])
            half, rest = words[: max(1, len(words) // 2)], other[0].split()
            yield (
                "mixed",
                (" ".join([*half, *rest[len(rest) // 2 :]]), rng.choice([target, other[1]])),
            )
            place, word = rng.randrange(len(said)), rng.choice(rng.choice(others)[1].split())
            if len(said) > 2 and word != said[place]:
                yield "reworded", (text, " ".join([*said[:place], word, *said[place + 1 :]]))
        if len(words) >= LEAST_WORDS:
            shuffled = rng.sample(words, len(words))
            if shuffled != words:
                yield "shuffled", (" ".join(shuffled), target)
            at = rng.randrange(len(words) - 1)
            pair = words[at : at + 2]
            yield (
                "repeated",
                (" ".join([*words[:at], *pair, *pair, *pair, *words[at + 2 :]]), target),
            )
            at = rng.randrange(1, len(words) - 1)
            yield "cut", (" ".join(rng.choice([words[:at], words[at:]])), target)
        if foreign:
            yield "foreign", (rng.choice(foreign), target)
