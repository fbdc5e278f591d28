"""Runs all checks on one table and gives the verdict."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, get_args

from lamol_core.audit.limits import Verdict, worst
from lamol_core.audit.params import AuditParams
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.samples import Judgement, judgement_of
from lamol_core.audit.spec import About, Audited, Check, Finding, Judged
from lamol_core.records import Flag

ABOUT: tuple[About, ...] = get_args(About)
NO_HISTORY: Mapping[str, Any] = {"verdicts": (), "fading": ()}


@dataclass(frozen=True)
class Audit:
    """What all checks found in one table."""

    audited: Audited
    findings: Sequence[Finding]

    @property
    def task(self) -> str:
        return self.audited.origin.new_task

    @property
    def notes(self) -> list[str]:
        """A note for each task with forgotten rows: what could not be checked, and why."""
        return [task.note for task in self.audited.tasks if task.note]

    @property
    def verdict(self) -> Verdict:
        """The worse one of the two verdicts."""
        return worst(map(self.verdict_on, ABOUT))

    def verdict_on(self, about: About) -> Verdict:
        """The worst verdict of the checks of privacy or quality; at least "warn" where a headline
        figure, or the privacy of a task, could not be judged."""
        own = [finding for finding in self.findings if finding.about == about]
        is_complete = about == "quality" or all(task.is_judged for task in self.audited.tasks)
        decided = is_complete and not any(finding.undecided for finding in own)
        return worst(["pass" if decided else "warn", *(finding.verdict for finding in own)])

    def reasons(self, about: About) -> list[str]:
        """The checks that explain a verdict: those that failed, else those that warn or could not
        be judged."""
        own = [finding for finding in self.findings if finding.about == about]
        warned = [f for f in own if f.verdict == "warn" or f.undecided]
        return [f.check for f in own if f.verdict == "fail"] or [f.check for f in warned]

    @cached_property
    def judgement(self) -> Judgement:
        judged = [task for task in self.audited.tasks if task.is_judged]
        unjudged = {row.row_id for task in judged for row in task.unjudged}
        return judgement_of(self.flags, [task.name for task in judged], unjudged)

    @property
    def rows_by_verdict(self) -> dict[str, int]:
        """How many rows have each verdict, the most frequent first."""
        return dict(Counter(map(self.judgement.verdict, self.audited.drawn)).most_common())

    @property
    def flags(self) -> list[Flag]:
        return [flag for finding in self.findings for flag in finding.flags]

    @property
    def flagged_ids(self) -> set[str]:
        return {flag.row_id for flag in self.flags}

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [finding.check for finding in self.findings if finding.verdict == "fail"]

    def as_dict(self, history: Mapping[str, Any] = NO_HISTORY) -> dict[str, Any]:
        """Return the content of audit.json; `history` is the content of the previous task's
        audit.json."""
        verdict = {"task": self.task, "verdict": self.verdict, "failed": self.failed}
        rows_kept, tasks = len(self.audited.kept), self.audited.tasks
        on: dict[str, Any] = {
            a: {"verdict": self.verdict_on(a), "checks": self.reasons(a)} for a in ABOUT
        }
        return {
            **verdict,
            **on,
            "verdicts": [*history["verdicts"], {**verdict, "rows_kept": rows_kept}],
            "notes": self.notes,
            "judged_tasks": list(self.judgement.judged_tasks),
            "unjudged_rows": sorted(self.judgement.unjudged_rows),
            "rows_kept": rows_kept,
            "rows_rejected": sum(len(task.rejected) for task in tasks),
            "rows_flagged": len(self.flagged_ids),
            "rows_by_verdict": self.rows_by_verdict,
            "checks": {
                finding.check: {
                    "title": finding.title,
                    "about": finding.about,
                    "verdict": finding.shown_verdict,
                    "row_verdict": finding.row_verdict,
                    "figures": finding.figures,
                    "by_task": finding.by_task,
                    "judged": [asdict(judged) for judged in finding.judged],
                    "rows_flagged": finding.rows_flagged,
                    "notes": list(finding.notes),
                }
                for finding in self.findings
            },
            "fading": [*history["fading"], *self._fading()],
        }

    def _fading(self) -> list[dict[str, Any]]:
        """Return one dictionary for each task, with all its figures; "age" is the number of
        tasks learnt since."""
        entries = []
        for task in self.audited.tasks:
            by_check = [finding.by_task.get(task.name, {}) for finding in self.findings]
            if figures := {name: value for figures in by_check for name, value in figures.items()}:
                head = {"for": self.task, "task": task.name, "age": task.tasks_since}
                entries.append({**head, **figures})
        return entries


def run_checks(
    audited: Audited,
    params: AuditParams,
    checks: Sequence[Check[Any]] = CHECKS,
    on_check_done: Callable[[], object] = lambda: None,
) -> Audit:
    """Run every check on one table, and judge the figures by the limits in params.yaml."""
    findings = []
    for check in checks:
        if audited.tasks or not check.needs_samples:
            findings.append(judge(check, check.run(audited, params.own(check)), audited, params))
            on_check_done()
    return Audit(audited, findings)


def audit_cleaned(
    audit: Audit, params: AuditParams, on_check_done: Callable[[], object] = lambda: None
) -> Audit | None:
    """Audit the table again without its flagged rows. None where the table was changed since it
    was drawn, because the flags may then name other rows."""
    audited, flagged = audit.audited, audit.flagged_ids
    if not audited.origin.table_is_as_written:
        return None
    tasks = [
        replace(task, drawn=[row for row in task.drawn if row.row_id not in flagged])
        for task in audited.tasks
    ]
    return run_checks(replace(audited, tasks=tasks), params, on_check_done=on_check_done)


def judge(check: Check[Any], finding: Finding, audited: Audited, params: AuditParams) -> Finding:
    """Return the finding with verdicts: on the whole table, and on each task with at least
    `min_rows` rows."""
    judged: list[Judged] = []
    notes, scopes = list(finding.notes), {"": finding.figures}
    for task in audited.tasks:
        if task.name in finding.by_task and check.num_rows(task, audited.origin) >= params.min_rows:
            scopes[task.name] = finding.by_task[task.name]
    for figure in check.limits:
        limit = params.limit(figure)
        judged += [
            Judged(figure, scope, value, limit.warn, limit.fail, limit.judge(value))
            for scope, figures in scopes.items()
            if (value := figures.get(figure)) is not None
        ]
        low, mean = finding.figures.get(figure), finding.figures.get(f"{figure}_mean")
        if low is not None and mean is not None and low <= limit.warn < mean:
            notes.append(
                f"{figure}: {mean:.1%} by estimate, but the interval begins at {low:.1%}: with so "
                "few rows this may be chance."
            )
    of_table = {judgement.figure for judgement in judged if not judgement.task}
    undecided = bool(check.headline) and check.headline not in of_table
    if undecided and not notes:
        notes.append(f"{check.headline} could not be judged.")
    return replace(
        finding,
        flags=[replace(flag, verdict=check.row_verdict) for flag in finding.flags],
        judged=judged,
        undecided=undecided,
        notes=notes,
        title=check.title,
        about=check.about,
        row_verdict=check.row_verdict,
    )
