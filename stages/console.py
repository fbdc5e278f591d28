"""Print a command's output: progress and messages on stderr, figures on stdout. Read its texts."""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from lamol_core.errors import UsageError
from lamol_core.text.display import visible

PLAIN_EVERY_S = 15.0
"""Seconds between two lines of progress where stderr is no terminal."""


class Advance(Protocol):
    def __call__(self, count: int = 1, note: str = "", seconds: float = 0.0) -> None:
        """Report that `count` more units are done. `seconds`: how long they took, if perhaps in an
        earlier process (a resumed training reports its loaded steps)."""


def say(message: str) -> None:
    """Print one line for the user on stderr. stdout is for figures."""
    typer.echo(visible(message), err=True)  # a quoted name or label could hold terminal codes


def print_json(figures: dict[str, Any]) -> None:
    typer.echo(json.dumps(figures))


def read_texts(command: str, inputs: Sequence[str], is_typed: bool) -> Iterator[str]:
    """Yield the inputs, or the lines of stdin. Raises UsageError where one is not UTF-8, and for
    inputs without text that are not typed on a terminal."""
    raw: Iterable[bytes] = map(os.fsencode, inputs)
    if not inputs:
        stdin = sys.stdin.buffer
        raw = (line.rstrip(b"\r\n") for line in stdin) if is_typed else stdin.read().splitlines()
    has_text = is_typed
    for number, line in enumerate(raw, start=1):
        try:
            text = line.decode("utf-8-sig")  # a file may begin with a mark of its byte order
        except UnicodeDecodeError as error:
            where = f"{'input' if inputs else 'line'} {number}"
            raise UsageError(
                f"{command}: {where} is not UTF-8. Send it as UTF-8 (`iconv -t utf-8` makes it so)."
            ) from error
        has_text = has_text or bool(text.strip())
        yield text
    if not has_text:
        raise UsageError(f"{command}: no input. Write one in quotes, or send lines to stdin.")


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Advance]:
    """A context that yields an Advance and shows done/total, the rate and the time left: as a bar
    on a terminal, elsewhere as a line every PLAIN_EVERY_S."""
    started = printed = time.perf_counter()
    done, reported_s = 0, 0.0

    def pace(note: str) -> str:
        rate = done / max(time.perf_counter() - started, reported_s, 1e-9)
        left_s = max(total - done, 0) / rate if rate else 0
        return f"{rate:.1f} {unit}/s, {left_s:.0f} s left" + (note and f", {note}")

    with _bar(what, total) as show:

        def advance(count: int = 1, note: str = "", seconds: float = 0.0) -> None:
            nonlocal done, reported_s, printed
            done, reported_s = done + count, reported_s + seconds
            if show is not None:
                show(done, pace(note))
            elif time.perf_counter() - printed >= PLAIN_EVERY_S:
                printed = time.perf_counter()
                say(f"{what}: {done}/{total} {unit}, {pace(note)}")

        yield advance


@contextmanager
def _bar(what: str, total: int) -> Iterator[Any]:
    """Yield a function that moves the bar; None where stderr is no terminal or there is nothing to
    do."""
    if not total or not sys.stderr.isatty():
        yield None
        return
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}")
    console = Console(stderr=True)
    with Progress(TextColumn("{task.description}"), *columns, console=console) as bars:
        bar = bars.add_task(what, total=total, note="")
        yield lambda done, note: bars.update(bar, completed=done, note=note)


def print_table(table: Any) -> None:
    """Print a rich table on stdout. It is wider than the terminal where its columns need more
    room."""
    console = Console()
    unbound = console.options.update(max_width=10_000)
    for column in table.columns:
        if column.no_wrap:
            whole = [Measurement.get(console, unbound, cell).maximum for cell in column.cells]
            column.min_width = max([column.min_width or 0, *whole])
    needed = Measurement.get(console, unbound, table).minimum
    Console(width=max(console.width, needed)).print(table)


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print dictionaries with equal keys as a table on stdout. The first one gives the order of
    columns."""
    table = Table()
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        # no markup, and no terminal codes
        table.add_row(*(Text(visible(str(row[name]))) for name in rows[0]))
    print_table(table)
