"""Memorisation: whether rows repeat what the model was trained on.

    longest_span, span_8_share, span_13_share, span_50_share
                          the longest run of words shared with one training row (Carlini et al. 2021
                          count 50 tokens; 8 and 13 are n-gram lengths of decontamination), and the
                          share of rows with so long a one
    overlap               that run / the row's words, mean over rows
    copied_share          rows equal to a training row, or nearer than 0.9 in edit similarity
    exact_copies          rows equal to a training row
    nearest_similarity    edit similarity to the nearest training row, mean over rows
    *_held_out            the same against rows that no training has seen; `training_rows` and
                          `held_out_rows` say how many there are of each
    overlap_excess, copied_excess
                          how much of overlap and copied_share is more than chance: THE HEADLINE.
                          The lower end of its 95 % interval is judged; *_mean and *_high are the
                          rest (memorisation/permutation.py), and single tasks' intervals hold
                          for all tasks at once. None with fewer than 20 held-out rows
    repeated_share        rows that equal one training row, and no held-out one, which five rows or
                          more do: the permutation takes it for one chance, however often it is said
    extracted_share       rows with a run of words of one training row, and of no other, of 20 words
                          at the least, twice as long as any that a sample has of a held-out row and
                          as 99 in 100 training rows have of others: by its length no chance, be it
                          of one row alone (fewer than 20 held-out rows: of 50 words)

The teacher has learnt all earlier tasks: samples are held against the rows of every one of them
that are here, whichever task they are drawn for. A copy rate that is no higher than against rows
that no training has seen is chance, not memory.

Flagged: copies of a training row to which no held-out row is as near, and runs of 13 words or more
that are longer than what the sample, and 99 in 100 samples, share with held-out rows; rejected rows
too, which stand in the table that is shared.

Of forgotten rows there is a fingerprint alone, where one was kept: spans are then told by the steps
of LADDER (memorisation/keyed_hash.py), and a sample is a copy only where it equals a row: near ones
are not known, nor the last two figures, nor anything of samples that are too short to be told.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from lamol_core.audit.limits import Limit
from lamol_core.audit.memorisation.permutation import pooled_excesses
from lamol_core.audit.spec import (
    Audited,
    Check,
    Figure,
    Finding,
    Flag,
    Neighbour,
    Origin,
    SampledTask,
    pooled,
)
from lamol_core.config.section import Section

HEADLINES = ("overlap", "copied")
COUNTS = ("exact_copies", "training_rows", "held_out_rows", "rows_told")


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
        return task.num_told

    def run(self, audited: Audited, params: Section) -> Finding:
        # late: see checks/__init__.py
        from lamol_core.audit.memorisation.hash_overlap import against_hashes
        from lamol_core.audit.memorisation.row_overlap import AgainstRows

        by_task: dict[str, Mapping[str, Figure]] = {}
        parts: list[tuple[int, Mapping[str, Figure]]] = []
        flags: list[Flag] = []
        neighbours: Mapping[str, Neighbour] = {}
        kept = [task for task in audited.tasks if task.kept]
        among = max(len(kept), 1)
        if any(task.train for task in audited.tasks):
            rows = AgainstRows.of(audited.tasks, audited.seed)
            flags, neighbours = rows.flags(self.name), rows.neighbours()
            kept = [task for task in kept if not task.forgotten_on]
            for task in kept:
                by_task[task.name] = rows.figures(rows.kept(task), among)
            if kept:
                everything = np.logical_or.reduce([rows.kept(task) for task in kept])
                parts.append((int(everything.sum()), rows.figures(everything)))
        for task in audited.tasks:
            if task.fingerprint is not None and task.kept:
                figures, found = against_hashes(
                    task, task.fingerprint, audited.seed, self.name, among
                )
                by_task[task.name] = figures
                parts.append((task.num_told, figures))
                flags += found
        in_order = {task.name: by_task[task.name] for task in audited.tasks if task.name in by_task}
        figures = _whole(parts)
        notes = []
        if figures and figures.get("copied_excess") is None:
            notes = ["with so few rows held out, whether copies are chance or memory is not known."]
        return Finding(self.name, figures, in_order, flags, notes=notes, neighbours=neighbours)


def _whole(parts: Sequence[tuple[int, Mapping[str, Figure]]]) -> dict[str, Figure]:
    """The figures of the whole table from those of its parts, each with its number of rows."""
    by_part = {str(place): figures for place, (_, figures) in enumerate(parts)}
    sizes = {str(place): size for place, (size, _) in enumerate(parts)}
    figures = pooled(by_part, sizes)
    if len(parts) > 1:
        excesses = [part for _, part in parts]
        figures |= pooled_excesses(excesses, list(sizes.values()), HEADLINES)
    for name in figures:
        known = [value for _, part in parts if (value := part.get(name)) is not None]
        if known and name.startswith("longest_span"):
            figures[name] = max(known)
        elif known and name.startswith(COUNTS):
            figures[name] = sum(known)
    return figures
