"""What a stage says: a moving bar on a terminal, plain lines elsewhere, JSON where asked."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import typer

PLAIN_EVERY_S = 15.0
"""Seconds between two lines of progress where there is no terminal."""


class Advance(Protocol):
    def __call__(self, count: int = 1, note: str = "", seconds: float = 0.0) -> None:
        """Tell of more that is done. `seconds`: how long that took, where it may have been done
        before (a training that goes on tells of the steps it was spared)."""


def say(message: str) -> None:
    """One line for the user, on stderr: stdout is for figures."""
    typer.echo(message, err=True)


def print_json(figures: dict[str, Any]) -> None:
    typer.echo(json.dumps(figures))


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Advance]:
    """Yield an Advance; shows done/total, the rate and the time left."""
    if total == 0:
        yield lambda count=1, note="", seconds=0.0: None
    elif sys.stderr.isatty():
        with _terminal_progress(what, total, unit) as advance:
            yield advance
    else:
        with _plain_progress(what, total, unit) as advance:
            yield advance


@contextmanager
def _terminal_progress(what: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    pace = _Pace(total)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(what, total=total, pace="", note="")

        def advance(count: int = 1, note: str = "", seconds: float = 0.0) -> None:
            pace.add(count, seconds)
            bars.update(bar, advance=count, pace=pace.tell(unit), note=note)

        yield advance


@contextmanager
def _plain_progress(what: str, total: int, unit: str) -> Iterator[Advance]:
    pace, told = _Pace(total), time.perf_counter()

    def advance(count: int = 1, note: str = "", seconds: float = 0.0) -> None:
        nonlocal told
        pace.add(count, seconds)
        now = time.perf_counter()
        if now - told >= PLAIN_EVERY_S:
            told = now
            say(f"{what}: {pace.done}/{total} {unit}, {pace.tell(unit)} {note}".rstrip())

    yield advance


class _Pace:
    """How fast things are done, over all that were told of."""

    def __init__(self, total: int) -> None:
        self._total, self.done = total, 0
        self._started, self._told_s = time.perf_counter(), 0.0

    def add(self, count: int, seconds: float) -> None:
        self.done += count
        self._told_s += seconds

    def tell(self, unit: str) -> str:
        """Such as "6.1 steps/s, 15 s left"."""
        rate = self.done / max(time.perf_counter() - self._started, self._told_s, 1e-9)
        left = max(self._total - self.done, 0) / rate if rate else 0
        return f"{rate:.1f} {unit}/s, {left:.0f} s left"


def print_table(table: Any) -> None:
    """A rich table on stdout; where the terminal is too narrow for its columns, as wide as they."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    unbound = console.options.update(max_width=10_000)
    for column in table.columns:
        if column.no_wrap:
            whole = [Measurement.get(console, unbound, cell).maximum for cell in column.cells]
            column.min_width = max([column.min_width or 0, *whole])
    needed = Measurement.get(console, unbound, table).minimum
    Console(width=max(console.width, needed)).print(table)


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Dictionaries of equal keys as a table on stdout, in the order of the first."""
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(row[name])) for name in rows[0]))  # never markup
    print_table(table)
