"""Memorisation: whether rows repeat what the model was trained on.

    longest_span, span_8_share, span_13_share, span_50_share
                          the longest run of words shared with one training row (Carlini et al. 2021
                          count 50 tokens; 8 and 13 are n-gram lengths of decontamination), and the
                          share of rows with a run of at least so many words
    overlap               that run / the row's words, mean over rows
    copied_share          rows with an edit similarity of 0.9 or more to a training row
    exact_copies          rows equal to a training row
    nearest_similarity    edit similarity to the nearest training row, mean over rows
    *_held_out            the same against held-out rows, which no training has seen
    training_rows, held_out_rows
                          how many there are of each
    overlap_excess, copied_excess
                          how much of overlap and copied_share is more than chance: THE HEADLINE.
                          The lower end of its 95 % interval is judged; *_mean is the estimate and
                          *_high the upper end (memorisation/permutation.py). The intervals of
                          single tasks hold for all tasks at once. None with fewer than 20 held-out
                          rows
    repeated_share        rows equal to one training row, and to no held-out one, that five rows or
                          more equal: the permutation test counts such a row once
    extracted_share       rows with a run of 20 words or more of one training row and of no other,
                          twice as long as any run shared with a held-out row, and as those that 99
                          in 100 training rows share with others. So long a run is no chance, even
                          if it is of one row (with fewer than 20 held-out rows: of 50 words)
    rows_told             samples that a fingerprint covers

The teacher has learnt all earlier tasks: samples are compared with the rows of all that are here,
whichever task they were drawn for. A copy rate no higher than against held-out rows is chance.

Flagged are copies of a training row that are less near to any held-out row, and runs of 13 words or
more that are longer than what the sample, and 99 in 100 samples, share with held-out rows. Rejected
rows are flagged too, as the table is shared with them.

Of forgotten rows there may be a fingerprint. Spans then have the lengths of LADDER
(memorisation/keyed_hash.py), and only equal rows are copies. Near copies, repeated_share,
extracted_share, and samples too short for a hash are not known.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from lamol_core.audit.figures import Figure, pooled
from lamol_core.audit.limits import Limit
from lamol_core.audit.memorisation.permutation import pooled_excesses
from lamol_core.audit.spec import Audited, Check, Finding, Flag, Neighbour, Origin, SampledTask
from lamol_core.config.section import Section

HEADLINES = ("overlap", "copied")
COUNTS = ("exact_copies", "training_rows", "held_out_rows", "rows_told")
Part = tuple[int, Mapping[str, Figure]]  # a number of rows, and their figures


class Memorisation(Check[Section]):
    name = "memorisation"
    title = "Does it repeat its training rows"
    headline = "copied_excess"
    limits: ClassVar = {
        "copied_excess": Limit(warn=0.01, fail=0.05),
        "overlap_excess": Limit(warn=0.05, fail=0.15),
        "repeated_share": Limit(warn=0.0, fail=0.2),
        "extracted_share": Limit(warn=0.0, fail=0.01),
    }

    def num_rows(self, task: SampledTask, origin: Origin) -> int:
        return task.num_judged

    def run(self, audited: Audited, params: Section) -> Finding:
        # late: see checks/__init__.py
        from lamol_core.audit.memorisation.hash_overlap import against_hashes
        from lamol_core.audit.memorisation.row_overlap import AgainstRows

        by_task: dict[str, Mapping[str, Figure]] = {}
        parts: list[Part] = []
        flags: list[Flag] = []
        neighbours: dict[str, Neighbour] = {}
        tasks, rows = [task for task in audited.tasks if task.kept], None
        if any(task.train for task in audited.tasks):
            rows = AgainstRows(audited.tasks, audited.seed)
            flags, ids = rows.flags(self.name), [sample.row_id for sample in rows.samples]
            neighbours = dict(zip(ids, rows.neighbours, strict=True))
            if masks := [rows.kept(task) for task in tasks if not task.forgotten_on]:
                all_kept = np.logical_or.reduce(masks)
                parts.append((int(all_kept.sum()), rows.figures(all_kept)))
        for task in tasks:
            if task.fingerprint is not None:
                figures, found = against_hashes(
                    task, task.fingerprint, audited.seed, self.name, len(tasks)
                )
                parts.append((task.num_judged, figures))
                flags += found
            elif rows is not None and not task.forgotten_on:
                figures = rows.figures(rows.kept(task), len(tasks))
            else:
                continue
            by_task[task.name] = figures
        figures, notes = _joined(parts), []
        if figures and figures.get("copied_excess") is None:
            notes = ["too few held-out rows to say whether copies are chance or memory."]
        return Finding(self.name, figures, by_task, flags, notes=notes, neighbours=neighbours)


def _joined(parts: Sequence[Part]) -> dict[str, Figure]:
    """The figures of the whole table from those of its parts."""
    sizes = {str(index): size for index, (size, _) in enumerate(parts)}
    by_part = {str(index): figures for index, (_, figures) in enumerate(parts)}
    figures = pooled(by_part, sizes)
    if len(parts) > 1:
        figures |= pooled_excesses([*by_part.values()], [*sizes.values()], HEADLINES)
    for name in figures:
        known = [value for _, part in parts if (value := part.get(name)) is not None]
        if known and name.startswith("longest_span"):
            figures[name] = max(known)
        elif known and name.startswith(COUNTS):
            figures[name] = sum(known)
    return figures
