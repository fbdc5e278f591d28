"""One table through all checks: findings, and the verdict they come to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lamol_core.audit.limits import Verdict
from lamol_core.audit.params import AuditParams
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.spec import Audited, Check, Finding, Flag, Judged, worst


@dataclass(frozen=True)
class History:
    """What the audits of the tasks before said, in audit.json's own form."""

    verdicts: Sequence[dict[str, Any]] = ()
    fading: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Audit:
    """What all checks found in one table."""

    task: str
    rows_kept: int
    rows_rejected: int
    rows_drawn: int
    """Those two, and surplus ones."""
    ages: dict[str, int]
    findings: Sequence[Finding]
    titles: dict[str, str]
    notes: Sequence[str] = ()
    """What could not be looked at, and why."""

    blind_tasks: Sequence[str] = ()
    """Tasks whose rows are gone, and no fingerprint tells of most of their samples."""
    unjudged_rows: Sequence[str] = ()
    """Samples of the other tasks of which none tells."""

    @property
    def judged_tasks(self) -> list[str]:
        return [name for name in self.ages if name not in self.blind_tasks]

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks; what could not be looked at is no pass."""
        undecided = any(finding.undecided for finding in self.findings)
        at_least: Verdict = "warn" if self.blind_tasks or undecided else "pass"
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
            "notes": list(self.notes),
            "judged_tasks": self.judged_tasks,
            "unjudged_rows": list(self.unjudged_rows),
            "rows_kept": self.rows_kept,
            "rows_rejected": self.rows_rejected,
            "rows_flagged": len({flag.row_id for flag in self.flags}),
            "checks": {one.check: self._told(one) for one in self.findings},
            "fading": [*history.fading, *self._fading()],
        }

    def _told(self, finding: Finding) -> dict[str, Any]:
        return {
            "title": self.titles[finding.check],
            "verdict": finding.told_verdict,
            "figures": finding.figures,
            "by_task": finding.by_task,
            "judged": [
                {
                    "figure": one.figure,
                    "task": one.task,
                    "value": one.value,
                    "warn": one.limit.warn,
                    "fail": one.limit.fail,
                    "verdict": one.verdict,
                }
                for one in finding.judged
            ],
            "rows_flagged": len({flag.row_id for flag in finding.flags}),
            "notes": list(finding.notes),
        }

    def _fading(self) -> list[dict[str, Any]]:
        """Every figure of every earlier task, by the tasks learnt since: does the memory fade?"""
        entries: list[dict[str, Any]] = []
        for task, age in self.ages.items():
            figures = {
                figure: value
                for finding in self.findings
                for figure, value in finding.by_task.get(task, {}).items()
            }
            if figures:
                entries.append({"for": self.task, "task": task, "age": age, **figures})
        return entries


def audit_table(
    audited: Audited, params: AuditParams, checks: Sequence[Check[Any]] = CHECKS
) -> Audit:
    """Every check on one table, judged by the limits of params.yaml."""
    asked = [check for check in checks if audited.tasks or not check.needs_samples]
    findings = [
        judge(check, check.run(audited, params.own(check)), audited, params) for check in asked
    ]
    return Audit(
        task=audited.origin.new_task,
        rows_kept=sum(len(task.kept) for task in audited.tasks),
        rows_rejected=sum(len(task.rejected) for task in audited.tasks),
        rows_drawn=sum(len(task.drawn) for task in audited.tasks),
        ages={task.name: task.age for task in audited.tasks},
        findings=findings,
        titles={check.name: check.title for check in asked},
        blind_tasks=[task.name for task in audited.tasks if task.is_blind],
        unjudged_rows=[
            one.row_id for task in audited.tasks if not task.is_blind for one in task.untold
        ],
        notes=[task.note for task in audited.tasks if task.note],
    )


def judge(check: Check[Any], finding: Finding, audited: Audited, params: AuditParams) -> Finding:
    """The finding with verdicts: on the whole table, and on each task with `min_rows` rows."""
    judged, notes = [], list(finding.notes)
    sizes = {task.name: check.num_rows(task, audited.origin) for task in audited.tasks}
    scopes = [("", finding.figures)] + [
        (task, figures)
        for task, figures in finding.by_task.items()
        if sizes[task] >= params.min_rows
    ]
    for figure in check.limits:
        limit = params.limit(figure)
        for task, figures in scopes:
            value = figures.get(figure)
            if value is not None:
                judged.append(Judged(figure, task, value, limit, limit.judge(value)))
        low, mean = finding.figures.get(figure), finding.figures.get(f"{figure}_mean")
        if low is not None and mean is not None and low <= limit.warn < mean:
            notes.append(
                f"{figure}: {mean:.1%} by estimate, but {low:.1%} is the lower end of its "
                "interval: with so few rows that chance is not ruled out."
            )
    decided = {one.figure for one in judged if not one.task}
    undecided = bool(check.headline) and check.headline not in decided
    return replace(finding, judged=judged, undecided=undecided, notes=notes)
