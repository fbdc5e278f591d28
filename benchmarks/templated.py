"""Three small tasks of templated sentences, in which a rule says whether a row is right."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

Row = tuple[str, str]
"""Input and target."""
NUM_ROWS = 140
CAPITALS = {
    "france": "paris", "spain": "madrid", "italy": "rome", "peru": "lima", "japan": "tokyo",
    "cuba": "havana", "egypt": "cairo", "kenya": "nairobi", "norway": "oslo", "chile": "santiago",
    "greece": "athens", "austria": "vienna", "poland": "warsaw", "ireland": "dublin",
    "turkey": "ankara", "portugal": "lisbon", "hungary": "budapest", "ghana": "accra",
}  # fmt: skip
ASKED = (
    "capital of {}", "what is the capital of {}", "which city is the capital of {}",
    "name the capital of {}", "tell me the capital of {}", "i forgot the capital of {}",
    "which city governs {}", "from where is {} governed",
)  # fmt: skip
COLOURS = {
    "banana": "yellow", "lemon": "yellow", "tomato": "red", "cherry": "red", "frog": "green",
    "cucumber": "green", "crow": "black", "coal": "black", "snow": "white", "milk": "white",
    "sky": "blue", "sea": "blue", "carrot": "orange", "elephant": "grey",
}  # fmt: skip
SEEN = ("today", "in the picture", "at noon", "on the table", "over there", "in your book")
WONDERED = ("what colour is the {} {}", "the {} {} has which colour", "say the colour of the {} {}")
ROOMS = ("kitchen", "bedroom", "garden", "office", "hall", "garage")
HOURS = ("six", "seven", "eight", "nine", "ten", "noon")
POLITE = ("please {}", "could you {}", "{} now", "i want you to {}")
INTENTS = {
    "light on": ("turn on the light in the {}", ROOMS),
    "light off": ("switch off the lamp in the {}", ROOMS),
    "heat up": ("make it warmer in the {}", ROOMS),
    "set alarm": ("wake me at {}", HOURS),
    "call a taxi": ("order a taxi for {}", HOURS),
    "play music": ("play a song in the {}", ROOMS),
}


def capitals() -> Iterator[Row]:
    for (country, city), asked in product(CAPITALS.items(), ASKED):
        yield asked.format(country), f"the capital of {country} is {city}"


def colours() -> Iterator[Row]:
    for (thing, colour), seen, wondered in product(COLOURS.items(), SEEN, WONDERED):
        yield wondered.format(thing, seen), f"the {thing} is {colour}"


def intents() -> Iterator[Row]:
    for label, (wanted, places) in INTENTS.items():
        for place, polite in product(places, POLITE):
            yield polite.format(wanted.format(place)), label


TASKS: dict[str, Callable[[], Iterator[Row]]] = {
    "capitals": capitals, "colours": colours, "intents": intents, "last": capitals
}  # fmt: skip
"""The last task is not learnt: pseudo-samples of the other three are drawn for it."""
SENTENCES = {task: frozenset(rows()) for task, rows in TASKS.items()}


def is_right(task: str, text: str, target: str) -> bool:
    """The rule: whether the task's templates can make this row."""
    return (text, target) in SENTENCES[task]


def write_tasks(folder: Path) -> dict[str, Path]:
    """Write each task's rows as CSV, NUM_ROWS of them at random. Returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {task: folder / f"{task}.csv" for task in TASKS}
    for task, path in paths.items():
        rows = sorted(SENTENCES[task])
        chosen = random.Random(f"rows of {task}").sample(rows, min(NUM_ROWS, len(rows)))
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("input", "target"), *chosen])
    return paths
