"""One table through all checks: findings, and the verdict they come to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lamol_core.audit.limits import Verdict
from lamol_core.audit.params import AuditParams
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.spec import Audited, Check, Figure, Finding, Flag, Judged, worst


@dataclass(frozen=True)
class History:
    """What the audits of the tasks before said, in audit.json's own form."""

    verdicts: Sequence[dict[str, Any]] = ()
    fading: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Audit:
    """What all checks found in one table."""

    audited: Audited
    findings: Sequence[Finding]

    @property
    def task(self) -> str:
        return self.audited.origin.new_task

    @property
    def rows_kept(self) -> int:
        return sum(len(task.kept) for task in self.audited.tasks)

    @property
    def rows_drawn(self) -> int:
        """Kept, rejected and surplus ones."""
        return sum(len(task.drawn) for task in self.audited.tasks)

    @property
    def judged_tasks(self) -> list[str]:
        """Tasks whose rows are here, or whose fingerprint tells of most of their samples."""
        return [task.name for task in self.audited.tasks if not task.is_blind]

    @property
    def unjudged_rows(self) -> list[str]:
        """Samples of these tasks of which no fingerprint tells."""
        judged = (task for task in self.audited.tasks if not task.is_blind)
        return [sample.row_id for task in judged for sample in task.untold]

    @property
    def notes(self) -> list[str]:
        """What could not be looked at, and why."""
        return [task.note for task in self.audited.tasks if task.note]

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks; what could not be looked at is no pass."""
        is_blind = any(task.is_blind for task in self.audited.tasks)
        undecided = any(finding.undecided for finding in self.findings)
        at_least: Verdict = "warn" if is_blind or undecided else "pass"
        return worst([at_least, *(finding.verdict for finding in self.findings)])

    @property
    def flags(self) -> list[Flag]:
        return [flag for finding in self.findings for flag in finding.flags]

    @property
    def failed(self) -> list[str]:
        """The checks that failed."""
        return [finding.check for finding in self.findings if finding.verdict == "fail"]

    def as_dict(self, history: History = History()) -> dict[str, Any]:
        """The content of audit.json."""
        verdict = {"task": self.task, "verdict": self.verdict, "failed": self.failed}
        return {
            **verdict,
            "verdicts": [*history.verdicts, {**verdict, "rows_kept": self.rows_kept}],
            "notes": self.notes,
            "judged_tasks": self.judged_tasks,
            "unjudged_rows": self.unjudged_rows,
            "rows_kept": self.rows_kept,
            "rows_rejected": sum(len(task.rejected) for task in self.audited.tasks),
            "rows_flagged": len({flag.row_id for flag in self.flags}),
            "checks": {
                one.check: {
                    "title": one.title,
                    "verdict": one.told_verdict,
                    "figures": one.figures,
                    "by_task": one.by_task,
                    "judged": [asdict(judged) for judged in one.judged],
                    "rows_flagged": one.rows_flagged,
                    "notes": list(one.notes),
                }
                for one in self.findings
            },
            "fading": [*history.fading, *self._fading()],
        }

    def _fading(self) -> list[dict[str, Any]]:
        """Every figure of every earlier task, by the tasks learnt since: does the memory fade?"""
        entries: list[dict[str, Any]] = []
        for task in self.audited.tasks:
            figures: dict[str, Figure] = {}
            for finding in self.findings:
                figures |= finding.by_task.get(task.name, {})
            if figures:
                entries.append({"for": self.task, "task": task.name, "age": task.age, **figures})
        return entries


def audit_table(
    audited: Audited, params: AuditParams, checks: Sequence[Check[Any]] = CHECKS
) -> Audit:
    """Every check on one table, judged by the limits of params.yaml."""
    findings = [
        judge(check, check.run(audited, params.own(check)), audited, params)
        for check in checks
        if audited.tasks or not check.needs_samples
    ]
    return Audit(audited, findings)


def audit_cleaned(audit: Audit, params: AuditParams) -> Audit | None:
    """The audit of the same table without the rows that an audit flags; None where the table was
    changed since it was drawn: its flags may be of other rows."""
    audited = audit.audited
    if not audited.origin.table_is_as_written:
        return None
    flagged = {flag.row_id for flag in audit.flags}
    tasks = [
        replace(task, drawn=[row for row in task.drawn if row.row_id not in flagged])
        for task in audited.tasks
    ]
    return audit_table(replace(audited, tasks=tasks), params)


def judge(check: Check[Any], finding: Finding, audited: Audited, params: AuditParams) -> Finding:
    """The finding with verdicts: on the whole table, and on each task with `min_rows` rows."""
    judged, notes = [], list(finding.notes)
    scopes = [("", finding.figures)] + [
        (task.name, finding.by_task[task.name])
        for task in audited.tasks
        if task.name in finding.by_task
        if check.num_rows(task, audited.origin) >= params.min_rows
    ]
    for figure in check.limits:
        limit = params.limit(figure)
        for task, figures in scopes:
            value = figures.get(figure)
            if value is not None:
                verdict = limit.judge(value)
                judged.append(Judged(figure, task, value, limit.warn, limit.fail, verdict))
        low, mean = finding.figures.get(figure), finding.figures.get(f"{figure}_mean")
        if low is not None and mean is not None and low <= limit.warn < mean:
            notes.append(
                f"{figure}: {mean:.1%} by estimate, but {low:.1%} is the lower end of its "
                "interval: with so few rows that chance is not ruled out."
            )
    decided = {one.figure for one in judged if not one.task}
    undecided = bool(check.headline) and check.headline not in decided
    return replace(finding, judged=judged, undecided=undecided, notes=notes, title=check.title)
