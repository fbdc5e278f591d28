"""Validity: how much of what the teacher wrote could be used.

rows_kept             number of rows that are trained on
rejected_share        rejected draws / all draws
attempts_per_row      draws / rows drawn and kept; rows carried over do not count
truncated_share       share of kept rows that fill text.max_input_tokens or text.max_target_tokens
rejected_<reason>     number of draws rejected for this reason: their form (generation/parsing.py),
                      their label, or as duplicate (both generation/drawing.py)
"""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from lamol_core.audit.figures import Figure, share
from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Finding, SampledTask, TableOrigin
from lamol_core.config.section import Section
from lamol_core.records import PseudoSample, in_pairs
from lamol_core.text.params import TextParams


class Validity(Check[Section]):
    name = "validity"
    title = "Could the draws be used"
    about = "quality"
    row_verdict = "truncated"
    limits: ClassVar = {
        "rejected_share": Limit(warn=0.3, fail=0.8),
        "truncated_share": Limit(warn=0.1, fail=0.5),
    }

    def num_rows(self, task: SampledTask, origin: TableOrigin) -> int:
        """Return the number of draws, without rows carried over: a few draws are too few to
        judge, however many rows were carried over."""
        return _num_drawn(task.kept, origin) + len(task.rejected)

    def run(self, audited: Audited, params: Section) -> Finding:
        origin, kept = audited.origin, audited.kept
        by_task = {task.name: _figures(task.kept, task.rejected, origin) for task in audited.tasks}
        rejected = [sample for task in audited.tasks for sample in task.rejected]
        reasons = sorted(Counter(sample.reject_reason for sample in rejected).items())
        figures = {
            **_figures(kept, rejected, origin),
            **{f"rejected_{reason}": float(count) for reason, count in reasons},
        }
        flags = [self.flag(s, "truncated") for s in kept if _is_truncated(s, origin.text)]
        notes = [
            f"no row of {task.name} could be used, so that task is not rehearsed."
            for task in audited.tasks
            if not task.kept
        ]
        return Finding(self.name, figures, by_task, flags, notes=notes)


def _figures(
    kept: Sequence[PseudoSample], rejected: Sequence[PseudoSample], origin: TableOrigin
) -> dict[str, Figure]:
    num_drawn, num_rejected = _num_drawn(kept, origin), len(rejected)
    num_truncated = sum(_is_truncated(sample, origin.text) for sample in kept)
    return {
        "rows_kept": float(len(kept)),
        "rejected_share": share(num_rejected, num_drawn + num_rejected),
        "attempts_per_row": share(num_drawn + num_rejected, num_drawn),
        "truncated_share": share(num_truncated, len(kept)),
    }


def _num_drawn(kept: Sequence[PseudoSample], origin: TableOrigin) -> int:
    return sum(sample.row_id not in origin.carried for sample in kept)


def _is_truncated(sample: PseudoSample, text: TextParams) -> bool:
    turns = [*in_pairs(sample.history_ids), (sample.input_ids, sample.target_ids)]
    limits = text.max_input_tokens, text.max_target_tokens
    return any(len(x) >= limits[0] or len(y) >= limits[1] for x, y in turns)
