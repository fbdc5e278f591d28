"""The audit as a table for a terminal: one row per check, with its figures and their limits."""

from rich import box
from rich.table import Column, Table
from rich.text import Text

from lamol_core.audit.spec import About, Finding
from lamol_core.audit.verdicts import ABOUT, Audit

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
            Text(f"{finding.check} ({finding.about})\n{finding.title}?"),
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
    """Both verdicts with the checks that explain them, and the rows by their own verdict; with
    `cleaned`, the audit without the flagged rows, also its verdict."""

    def verdict_on(about: About) -> str:
        checks = ", ".join(audit.reasons(about))
        return f"{about} {audit.verdict_on(about)}{f' ({checks})' if checks else ''}"

    verdicts = ", ".join(map(verdict_on, ABOUT))
    rows = ", ".join(f"{count} {verdict}" for verdict, count in audit.rows_by_verdict.items())
    without = f"; without flagged rows {cleaned.verdict}" if cleaned and audit.flagged_ids else ""
    return f"{verdicts}; rows: {rows or 'none'}{without}"
