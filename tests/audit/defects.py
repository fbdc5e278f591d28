"""Audits of a clean table, and rows with planted defects."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from lamol_core.audit.params import AuditParams
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.spec import Audited, SampledTask, Teacher
from lamol_core.audit.verdicts import Audit, run_checks
from lamol_core.records import PseudoSample, to_history
from tests.audit.corpus import decode, encode, sample, with_rows

PLANTED = range(20, 40)
"""A tenth of the rows."""


def audit(
    audited: Audited, *only: str, asked: Callable[[Sequence[PseudoSample]], list[str]] | None = None
) -> Audit:
    """Run the checks of these names, or all."""
    checks = [check for check in CHECKS if not only or check.name in only]
    return run_checks(replace(audited, teacher=Teacher(decode, asked)), AuditParams(), checks)


def flagged(result: Audit, check: str) -> set[int]:
    return {int(flag.row_id[-8:-2]) for flag in result.flags if flag.check == check}


def edited(row: PseudoSample, text: str, label: str | None = None) -> PseudoSample:
    return sample(row.gen_index, text, label or row.target)


def with_turn(row: PseudoSample, user: str, answer: str = "well") -> PseudoSample:
    """The row after one more turn."""
    ids = [encode(user), encode(answer)]
    return replace(row, history=to_history([(user, answer)]), history_ids=ids)


def verbatim(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {i: edited(task.drawn[i], task.train[i].input) for i in PLANTED}


def as_second(task: SampledTask) -> SampledTask:
    drawn = [replace(row, source_task="second") for row in task.drawn]
    return replace(task, facts=replace(task.facts, name="second"), drawn=drawn)


def of_few_words(audited: Audited) -> Audited:
    """Every row another one, of the same words but for a number."""
    (task,) = audited.tasks
    words = task.drawn[0].input.rpartition(" ")[0]
    rows = {i: edited(row, f"{words} {5000 + i}") for i, row in enumerate(task.drawn)}
    return with_rows(audited, rows)
