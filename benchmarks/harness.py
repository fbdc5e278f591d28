"""What every bench shares: options, sides that take turns, medians, the table, the JSON lines."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent
"""The checkout."""

Choice = TypeVar("Choice", bound=Hashable)
Round = dict[str, float]
"""One figure a side."""


@dataclass(frozen=True)
class Figure:
    """One compared figure: what our side and theirs gave in each round."""

    bench: str
    unit: str
    ours: list[float]
    theirs: list[float]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours / theirs, by medians; None where theirs is 0."""
        return median(self.ours) / median(self.theirs) if median(self.theirs) else None

    def as_dict(self) -> dict[str, Any]:
        ratio = self.ratio
        return {
            "bench": self.bench,
            "ours": _rounded(median(self.ours)),
            "theirs": _rounded(median(self.theirs)),
            "ratio": None if ratio is None else _rounded(ratio),
            "unit": self.unit,
            "runs": [
                {"ours": _rounded(ours), "theirs": _rounded(theirs)}
                for ours, theirs in zip(self.ours, self.theirs, strict=True)
            ],
            "details": dict(self.details),
        }


def take_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> list[Round]:
    """Call every side once a round, every other round in the opposite order."""
    figures: list[Round] = []
    for number in range(rounds):
        names = list(sides) if number % 2 == 0 else list(sides)[::-1]
        measured: Round = {}
        for name in names:
            measured[name] = sides[name]()
            say(f"round {number + 1}/{rounds}: {name} {measured[name]:.4g}")
        figures.append(measured)
    return figures


def compare(
    bench: str,
    unit: str,
    rounds: Sequence[Round],
    theirs: str,
    *,
    ours: str = "ours",
    details: Mapping[str, Any] | None = None,
) -> Figure:
    """The figure of two sides out of rounds that may have had more."""
    return Figure(
        bench, unit, [one[ours] for one in rounds], [one[theirs] for one in rounds], details or {}
    )


def per_second(work: Callable[[], int]) -> Callable[[], float]:
    """A side that does its work once and gives what it returns (rows) a second."""

    def measure() -> float:
        started = time.perf_counter()
        done = work()
        return done / (time.perf_counter() - started)

    return measure


def rates_of(
    name: str, rate_of: Callable[[Choice], float], choices: Sequence[Choice]
) -> dict[Choice, float]:
    """The rate of each choice, tried once. One that does not fit into memory is left out."""
    rates: dict[Choice, float] = {}
    for choice in choices:
        try:
            rates[choice] = rate_of(choice)
        except (MemoryError, RuntimeError) as error:
            say(f"{name} {choice}: {type(error).__name__}: {error}")
            continue
        say(f"{name} {choice}: {rates[choice]:.4g} a second")
    return rates


def parser(doc: str | None, rows: int, rounds: int = 3) -> argparse.ArgumentParser:
    """The options that every bench has."""
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    made.add_argument("--rows", type=int, default=rows, help="rows of each side and round")
    made.add_argument("--rounds", type=int, default=rounds)
    return made


def emit(figures: Sequence[Figure]) -> None:
    """The readable table and, one a line, the JSON objects, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table("bench", "ours", "theirs", "ratio", "unit", "rounds")
    for figure in figures:
        shown = figure.as_dict()
        numbers = (
            "-" if shown[key] is None else f"{shown[key]:.5g}"
            for key in ("ours", "theirs", "ratio")
        )
        table.add_row(figure.bench, *numbers, figure.unit, str(len(figure.ours)))
    Console(width=120).print(table)
    for figure in figures:
        sys.stdout.write(json.dumps(figure.as_dict()) + "\n")
    sys.stdout.flush()


def say(line: str) -> None:
    """What happens at the moment, on stderr: stdout is for figures."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def run_child(module: str, *arguments: str) -> dict[str, Any]:
    """Run `python -m module` in a process of its own; the last line of its stdout is its JSON."""
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result = json.loads(ended.stdout.strip().splitlines()[-1])
    assert isinstance(result, dict)
    return result


def child_environment() -> dict[str, str]:
    """This process's environment, with the checkout first on the module path and no chatter."""
    known = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(ROOT), *([known] if known else [])])
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
             "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "DVC_NO_ANALYTICS": "1"}  # fmt: skip
    return os.environ | quiet | {"PYTHONPATH": path}


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the progress bars and warnings of transformers out of the figures."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    yield


def _rounded(value: float) -> float:
    return float(f"{value:.5g}") if abs(value) < 1e6 else float(round(value))
