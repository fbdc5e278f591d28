"""An audit on a terminal: a line a check, with what its limits were held against."""

from collections.abc import Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from lamol_core.audit.spec import Figure, Finding, Judged, with_interval
from lamol_core.audit.verdicts import Audit

COLOURS = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def audit_table_of(audit: Audit) -> Table:
    """Verdicts in colour; of each check the judged figures of the whole table, and the tasks in
    which a figure is beyond a limit."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"audit of the rows for {audit.task}")
    table.add_column("check")
    table.add_column("verdict")
    table.add_column("figures (warn / fail)", overflow="fold")
    table.add_column("rows flagged", justify="right")
    for finding in audit.findings:
        table.add_row(
            Text(f"{finding.check}\n{finding.title}?"),
            Text(finding.told_verdict, style=COLOURS.get(finding.told_verdict, "dim")),
            _figures(finding),
            str(finding.rows_flagged),
        )
    return table


def _figures(finding: Finding) -> Text:
    lines = [
        _line(one, finding.by_task.get(one.task, {}) if one.task else finding.figures)
        for one in finding.judged
        if not one.task or one.verdict != "pass"
    ]
    lines += [Text(note) for note in finding.notes]
    return Text("\n").join(lines)


def _line(one: Judged, figures: Mapping[str, Figure]) -> Text:
    where = f" of {one.task}" if one.task else ""
    value = with_interval(one.figure, figures)
    told = f"{one.figure}{where} {value} ({one.warn:g} / {one.fail:g})"
    return Text(told, style="" if one.verdict == "pass" else COLOURS[one.verdict])
