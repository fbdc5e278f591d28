"""Write the demo corpus: five small English tasks of unlike kinds, from a seeded grammar.

    python scripts/make_demo_corpus.py [--out FILE]

The words and templates are those of demo_grammar.py. The same seed gives the same rows on every
machine. Values are dealt from shuffled decks, so that each is seen about equally often.
"""

import argparse
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from demo_grammar import (
    DOMAINS,
    HOME,
    HOME_WORDS,
    QUERY,
    QUERY_WORDS,
    SENTIMENT,
    SENTIMENT_WORDS,
    SLOTS_QUESTIONS,
    SLOTS_SENTENCES,
    SLOTS_WORDS,
    TRAVEL,
    TRAVEL_WORDS,
    Grammar,
    Words,
)

SEED = 20240607
SPLIT_ROWS = {"train": 400, "dev": 60, "test": 100}
DEFAULT_OUT = Path(__file__).resolve().parent.parent / "lamol_core" / "data" / "demo_corpus.parquet"


@dataclass(frozen=True)
class Draft:
    """One row before it has a split. `core` is what may not occur twice in a task."""

    core: str
    input: str
    target: str


class Dealer:
    """Deals the values of each slot from a shuffled deck, so that all are seen equally often."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._decks: dict[tuple[str, ...], list[str]] = {}

    def deal(self, values: tuple[str, ...]) -> str:
        deck = self._decks.setdefault(values, [])
        if not deck:
            deck.extend(values)
            self._rng.shuffle(deck)
        return deck.pop()

    def fill(self, template: str, lists: Words, chosen: dict[str, str] | None = None) -> str:
        """The template with each {slot} dealt once; `chosen` receives the values."""
        chosen = {} if chosen is None else chosen

        def value(match: re.Match[str]) -> str:
            slot = match.group(1)
            if slot not in chosen:
                chosen[slot] = self.fill(self.deal(lists[slot]), lists, chosen)
            return chosen[slot]

        return re.sub(r"\{(\w+)\}", value, template)


def joined(*parts: str) -> str:
    return " ".join(" ".join(parts).split())


Source = Callable[[Dealer], Draft]


def intent_sources(grammar: Grammar, lists: Words, opening: str) -> dict[str, Source]:
    """One source of rows per intent. `opening` names the slot of polite words put in front."""

    def source(label: str) -> Source:
        def draw(dealer: Dealer) -> Draft:
            core = dealer.fill(dealer.deal(grammar[label]), lists)
            polite = dealer.deal(lists[opening])
            return Draft(core, joined(polite, "," if polite else "", core), label)

        return draw

    return {label: source(label) for label in grammar}


def sentiment_sources() -> dict[str, Source]:
    """Positive and negative share every template; only the marked words are swapped."""
    good, bad = SENTIMENT_WORDS["same"], SENTIMENT_WORDS["opposite"]
    negative_words = {**SENTIMENT_WORDS, "same": bad, "same2": bad, "opposite": good}

    def source(label: str, lists: Words, choice: str) -> Source:
        templates = tuple(re.sub(r"\[(.+?)\|(.+?)\]", choice, text) for text in SENTIMENT)

        def draw(dealer: Dealer) -> Draft:
            things = tuple(dealer.deal(DOMAINS).split(","))
            template = dealer.deal(templates)
            text = ""
            # A thing beside itself, or an adjective twice, would read badly: deal again.
            while not text or any(text.split().count(word) > 1 for word in (*good, *bad, *things)):
                text = dealer.fill(template, {**lists, "thing": things, "other": things})
            return Draft(text, text, label)

        return draw

    return {
        "positive": source("positive", SENTIMENT_WORDS, r"\1"),
        "negative": source("negative", negative_words, r"\2"),
    }


def slots_sources() -> dict[str, Source]:
    """One source per slot asked for. A sentence is used once, with one question."""

    def source(slot: str) -> Source:
        sentences = tuple(text for text in SLOTS_SENTENCES if f"{{{slot}}}" in text)

        def draw(dealer: Dealer) -> Draft:
            chosen: dict[str, str] = {}
            sentence = dealer.fill(dealer.deal(sentences), SLOTS_WORDS, chosen)
            question = dealer.deal(SLOTS_QUESTIONS[slot])
            return Draft(sentence, joined(sentence, question), chosen[slot])

        return draw

    return {slot: source(slot) for slot in SLOTS_WORDS}


def query_sources() -> dict[str, Source]:
    """One source per way to put a request."""

    def source(request: str) -> Source:
        def draw(dealer: Dealer) -> Draft:
            chosen: dict[str, str] = {}
            core = dealer.fill(request, QUERY_WORDS, chosen)
            head = dealer.deal(QUERY_WORDS["head"])
            return Draft(core, joined(head, core), QUERY[request].format(**chosen))

        return draw

    return {request: source(request) for request in QUERY}


TASKS: dict[str, Callable[[], dict[str, Source]]] = {
    "home": lambda: intent_sources(HOME, HOME_WORDS, "courtesy"),
    "travel": lambda: intent_sources(TRAVEL, TRAVEL_WORDS, "hello"),
    "sentiment": sentiment_sources,
    "slots": slots_sources,
    "query": query_sources,
}


def fresh(source: Source, dealer: Dealer, seen: set[str], attempts: int = 1000) -> Draft:
    """The next row of a source whose core has not been used. RuntimeError when it has run dry."""
    for _ in range(attempts):
        draft = source(dealer)
        if draft.core not in seen:
            seen.add(draft.core)
            return draft
    raise RuntimeError(f"The grammar gives too few different rows, e.g. {draft.core!r} again.")


def make_task(task: str, seed: int = SEED) -> Iterator[tuple[str, list[Draft]]]:
    """Yield (split, rows) of a task. Sources take turns: labels are balanced in each split."""
    rng = random.Random(f"{seed}/{task}")
    sources = TASKS[task]()
    seen: set[str] = set()
    for split, num_rows in SPLIT_ROWS.items():
        dealer = Dealer(rng)
        order = list(sources.values())
        rows: list[Draft] = []
        while len(rows) < num_rows:
            rng.shuffle(order)
            rows += [fresh(source, dealer, seen) for source in order[: num_rows - len(rows)]]
        rng.shuffle(rows)
        yield split, rows


def write_corpus(out: Path) -> None:
    """Write the table `out`: task, split, input and target of every row."""
    rows = [
        {"task": task, "split": split, "input": row.input, "target": row.target}
        for task in TASKS
        for split, drafts in make_task(task)
        for row in drafts
    ]
    pq.write_table(pa.Table.from_pylist(rows), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="file to write")
    write_corpus(parser.parse_args().out)


if __name__ == "__main__":
    main()
