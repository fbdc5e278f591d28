"""The audit as a table for a terminal: one row per check, with its figures and their limits."""

from rich import box
from rich.table import Column, Table
from rich.text import Text

from lamol_core.audit.spec import Finding
from lamol_core.audit.verdicts import Audit

COLOURS = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def terminal_table(audit: Audit) -> Table:
    """Return the table, with verdicts in colour. It shows the judged figures of the whole table,
    and those figures of single tasks that are beyond a limit."""
    figures = Column("figures (warn / fail)", overflow="fold")
    columns = ("check", "verdict", figures, Column("rows flagged", justify="right"))
    title = f"audit of the rows for {audit.task}"
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    for finding in audit.findings:
        table.add_row(
            Text(f"{finding.check}\n{finding.title}?"),
            Text(finding.shown_verdict, style=COLOURS.get(finding.shown_verdict, "dim")),
            Text("\n").join([*_figures(finding), *map(Text, finding.notes)]),
            str(finding.rows_flagged),
        )
    return table


def _figures(finding: Finding) -> list[Text]:
    return [
        Text(
            f"{judged.figure}{f' of {judged.task}' if judged.task else ''} {value} "
            f"({judged.warn:g} / {judged.fail:g})",
            style="" if judged.verdict == "pass" else COLOURS[judged.verdict],
        )
        for judged, value in finding.shown_figures
    ]


def in_one_line(audit: Audit, cleaned: Audit | None) -> str:
    """The verdict, the failed checks, and the flagged rows; with `cleaned`, the audit without these
    rows, also its verdict."""
    failed = f" ({', '.join(audit.failed)} failed)" if audit.failed else ""
    without = f"; without them {cleaned.verdict}" if cleaned and audit.flagged_ids else ""
    num_flagged, num_rows = len(audit.flagged_ids), len(audit.audited.drawn)
    return f"{audit.verdict}{failed}, {num_flagged} of {num_rows} rows flagged{without}"
