"""Validity: how much of what the teacher wrote could be used.

rejected_share        rejected draws / all draws but surplus ones
attempts_per_row      draws / rows drawn and kept; rows that were carried over are no draws
truncated_share       rows kept that fill text.max_input_tokens or max_target_tokens
rejected_<reason>     draws rejected for each reason (generation/parsing.py)
"""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Figure, Finding, Flag, Origin, SampledTask
from lamol_core.config.section import Section
from lamol_core.records import PseudoSample
from lamol_core.text.params import TextParams


class Validity(Check[Section]):
    name = "validity"
    title = "Could it be used"
    limits: ClassVar = {
        "rejected_share": Limit(warn=0.3, fail=0.8),
        "truncated_share": Limit(warn=0.1, fail=0.5),
    }

    def num_rows(self, task: SampledTask, origin: Origin) -> int:
        """Draws: where a task's rows are carried over, one more and its rejection say nothing."""
        return _num_drawn(task.kept, origin) + len(task.rejected)

    def run(self, audited: Audited, params: Section) -> Finding:
        origin = audited.origin
        by_task = {task.name: _figures(task.kept, task.rejected, origin) for task in audited.tasks}
        rejected = [sample for task in audited.tasks for sample in task.rejected]
        kept = [sample for task in audited.tasks for sample in task.kept]
        reasons = Counter(sample.reject_reason for sample in rejected)
        figures: dict[str, Figure] = {
            **_figures(kept, rejected, origin),
            **{f"rejected_{reason}": float(count) for reason, count in sorted(reasons.items())},
        }
        truncated = [sample for sample in kept if _is_truncated(sample, origin.text)]
        flags = [Flag(s.row_id, s.source_task, self.name, "truncated") for s in truncated]
        notes = [
            f"no row of {task.name} could be used: nothing of it is rehearsed."
            for task in audited.tasks
            if not task.kept
        ]
        return Finding(self.name, figures, by_task, flags, notes=notes)


def _figures(
    kept: Sequence[PseudoSample], rejected: Sequence[PseudoSample], origin: Origin
) -> dict[str, Figure]:
    drawn = _num_drawn(kept, origin)
    truncated = sum(_is_truncated(sample, origin.text) for sample in kept)
    return {
        "rows_kept": float(len(kept)),
        "rejected_share": len(rejected) / (drawn + len(rejected)) if drawn or rejected else None,
        "attempts_per_row": (drawn + len(rejected)) / drawn if drawn else None,
        "truncated_share": truncated / len(kept) if kept else None,
    }


def _num_drawn(kept: Sequence[PseudoSample], origin: Origin) -> int:
    return sum(sample.row_id not in origin.carried for sample in kept)


def _is_truncated(sample: PseudoSample, text: TextParams) -> bool:
    return (
        len(sample.input_ids) >= text.max_input_tokens
        or len(sample.target_ids) >= text.max_target_tokens
    )
