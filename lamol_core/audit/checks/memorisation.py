"""Memorisation: whether rows repeat what the model was trained on.

    longest_span          words of the longest run that any row shares with one training row
    span_8_share, span_13_share, span_50_share
                          share of rows that share a run of at least so many words with one training
                          row (Carlini et al. 2021 count 50 tokens; 8 and 13 are n-gram lengths of
                          decontamination)
    overlap               words of a row's longest shared run / words of the row, mean over rows
    copied_share          share of rows with an edit similarity of 0.9 or more to a training row
    exact_copies          number of rows equal to a training row (in a task with several turns, a
                          user's text equal to one of a training row counts too)
    nearest_similarity    edit similarity to the nearest training row, mean over rows
    *_held_out            the same figure against held-out rows, which no training has seen
    training_rows, held_out_rows
                          number of real rows that the samples are compared with
    overlap_excess, copied_excess
                          how far overlap and copied_share exceed chance: THE HEADLINE. It is the
                          lower end of a 95 % interval; *_mean is the estimate and *_high the upper
                          end (memorisation/permutation.py). The intervals of single tasks hold for
                          all tasks at once. None with fewer than 20 held-out rows
    repeated_share        share of rows that equal exactly one training row and no held-out row, if
                          at least five rows equal that training row: the permutation test counts
                          such a training row once
    extracted_share       share of rows with a run of at least 20 words of exactly one training
                          row. The run must be twice as long as any run shared with a held-out row,
                          and twice as long as what 99 in 100 training rows share with others: so
                          long a run is no chance, even in a single row. With fewer than 20 held-out
                          rows it must have 50 words
    copy_share            share of rows that are flagged as copies, be it by chance or not. None
                          where the interval of copied_excess is at most 0.5 wide: in larger tables
                          it tells chance from memory
    rows_told             number of samples that are long enough to be compared with a fingerprint

The teacher has learnt all earlier tasks, so each sample is compared with the real rows of all tasks
on disk. Copies are due to chance if they are as frequent against held-out rows.

A flag marks a copy of a training row that is less similar to every held-out row, and a run of 13
words or more that is longer than what the sample, and 99 in 100 samples, share with held-out rows.
Rejected rows are flagged too, because the shared table contains them; not by a fingerprint.

Forgotten rows may have left a fingerprint. Spans then have the lengths in LADDER
(memorisation/keyed_hash.py), and only equal rows count as copies. Near copies, repeated_share,
extracted_share, and samples too short for a hash remain unknown.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

import numpy as np

from lamol_core.audit.figures import Figure, pooled, share
from lamol_core.audit.limits import Limit
from lamol_core.audit.memorisation.permutation import pooled_excesses
from lamol_core.audit.spec import Audited, Check, Finding, Neighbour, SampledTask, TableOrigin
from lamol_core.config.section import Section
from lamol_core.records import Flag

HEADLINES = ("overlap", "copied")
MOST_OPEN = 0.5
COUNTS = ("exact_copies", "training_rows", "held_out_rows", "rows_told")
Part = tuple[int, Mapping[str, Figure]]  # a number of rows, and their figures


class Memorisation(Check[Section]):
    name = "memorisation"
    title = "Does it repeat its training rows"
    about = "privacy"
    row_verdict = "copy"
    headline = "copied_excess"
    limits: ClassVar = {
        "copied_excess": Limit(warn=0.01, fail=0.05),
        "overlap_excess": Limit(warn=0.05, fail=0.15),
        "repeated_share": Limit(warn=0.0, fail=0.2),
        "extracted_share": Limit(warn=0.0, fail=0.01),
        "copy_share": Limit(warn=0.3, fail=1.0),
    }

    def num_rows(self, task: SampledTask, origin: TableOrigin) -> int:
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
        if any(task.train for task in audited.earlier):
            rows = AgainstRows(audited.tasks, audited.seed, audited.others)
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
        flagged = {flag.row_id for flag in flags}
        for task in tasks:
            if task.name in by_task:
                own = by_task[task.name]
                by_task[task.name] = {**own, **_copy_share(own, [task], flagged)}
        figures, notes = _joined(parts), []
        figures |= _copy_share(figures, [task for task in tasks if task.name in by_task], flagged)
        if figures and figures.get("copied_excess") is None:
            notes = ["too few held-out rows to say whether copies are chance or memory."]
        return Finding(self.name, figures, by_task, flags, notes=notes, neighbours=neighbours)


def _copy_share(
    figures: Mapping[str, Figure], tasks: Sequence[SampledTask], flagged: Collection[str]
) -> dict[str, Figure]:
    low, high = figures.get("copied_excess"), figures.get("copied_excess_high")
    if low is not None and high is not None and high - low <= MOST_OPEN:
        return {"copy_share": None}
    kept = [row for task in tasks if task.num_judged for row in task.kept]
    return {"copy_share": share(sum(row.row_id in flagged for row in kept), len(kept))}


def _joined(parts: Sequence[Part]) -> dict[str, Figure]:
    """Combine the figures of separately compared parts of the table: counts are added,
    longest_span is the maximum, all other figures are means weighted by rows."""
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
