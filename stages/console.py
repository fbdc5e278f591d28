"""What a stage says: a moving bar on a terminal, plain lines elsewhere, JSON where asked."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

PLAIN_EVERY_S = 15.0
"""Seconds between two lines of progress where there is no terminal."""

Advance = Callable[..., None]


def say(message: str) -> None:
    """One line for the user, on stderr: stdout is for figures."""
    typer.echo(message, err=True)


def print_json(figures: dict[str, Any]) -> None:
    typer.echo(json.dumps(figures))


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Advance]:
    """Yield `advance(count=1, note="")`; shows done/total, the rate and the time left."""
    if total == 0:
        yield lambda count=1, note="": None
    elif sys.stderr.isatty():
        with _terminal_progress(what, total, unit) as advance:
            yield advance
    else:
        with _plain_progress(what, total, unit) as advance:
            yield advance


@contextmanager
def _terminal_progress(what: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    started = time.perf_counter()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(what, total=total, rate="", note="")
        done = 0

        def advance(count: int = 1, note: str = "") -> None:
            nonlocal done
            done += count
            rate = done / max(time.perf_counter() - started, 1e-9)
            bars.update(bar, advance=count, rate=f"{rate:.1f} {unit}/s", note=note)

        yield advance


@contextmanager
def _plain_progress(what: str, total: int, unit: str) -> Iterator[Advance]:
    started = told = time.perf_counter()
    done = 0

    def line(note: str) -> str:
        seconds = max(time.perf_counter() - started, 1e-9)
        rate = done / seconds
        left = max(total - done, 0) / rate if rate else 0
        return f"{what}: {done}/{total} {unit}, {rate:.1f} {unit}/s, {left:.0f} s left {note}"

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal done, told
        done += count
        now = time.perf_counter()
        if now - told >= PLAIN_EVERY_S:
            told = now
            say(line(note).rstrip())

    yield advance


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
