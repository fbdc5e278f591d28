"""Validity: how much of what the teacher wrote could be used.

rejected_share        rejected draws / all draws but surplus ones
attempts_per_row      draws / rows kept
truncated_share       rows kept that fill generate.max_input_tokens or max_target_tokens
rejected_<reason>     draws rejected for each reason (sampling/filters.py)
"""

from __future__ import annotations

from collections import Counter

from lamol_core.audit.base import Audited, Check, Figure, Finding, Flag, SampledTask
from lamol_core.config import AuditParams, GenerateParams
from lamol_core.records import PseudoSample


class Validity(Check):
    name = "validity"
    title = "Could it be used"
    limits = {"rejected_share": "high", "truncated_share": "high"}  # noqa: RUF012

    def num_rows(self, task: SampledTask) -> int:
        return len(task.kept) + len(task.rejected)

    def run(self, audited: Audited, params: AuditParams) -> Finding:
        generate = audited.origin.generate
        by_task = {task.name: _figures(task, generate) for task in audited.tasks}
        reasons = Counter(s.reject_reason for task in audited.tasks for s in task.rejected)
        kept = [sample for task in audited.tasks for sample in task.kept]
        truncated = [sample for sample in kept if _is_truncated(sample, generate)]
        drawn = len(kept) + reasons.total()
        figures: dict[str, Figure] = {
            "rows_kept": float(len(kept)),
            "rejected_share": reasons.total() / drawn if drawn else None,
            "attempts_per_row": drawn / len(kept) if kept else None,
            "truncated_share": len(truncated) / len(kept) if kept else None,
            **{f"rejected_{reason}": float(count) for reason, count in sorted(reasons.items())},
        }
        flags = [Flag(s.row_id, s.source_task, self.name, "truncated") for s in truncated]
        notes = [
            f"no row of {task.name} could be used: nothing of it is rehearsed."
            for task in audited.tasks
            if not task.kept
        ]
        return Finding(self.name, figures, by_task, flags, notes=notes)


def _figures(task: SampledTask, generate: GenerateParams) -> dict[str, Figure]:
    kept, rejected = len(task.kept), len(task.rejected)
    truncated = sum(_is_truncated(sample, generate) for sample in task.kept)
    return {
        "rows_kept": float(kept),
        "rejected_share": rejected / (kept + rejected) if kept + rejected else None,
        "attempts_per_row": (kept + rejected) / kept if kept else None,
        "truncated_share": truncated / kept if kept else None,
    }


def _is_truncated(sample: PseudoSample, generate: GenerateParams) -> bool:
    return (
        len(sample.input_ids) >= generate.max_input_tokens
        or len(sample.target_ids) >= generate.max_target_tokens
    )
