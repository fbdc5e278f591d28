"""Provenance: whether every row is what its teacher wrote, by what stands beside it.

    broken_share        rows that are not; all are where one of the next three is 0
    table_as_written    1 where the file has the hash that its manifest says, else 0
    teacher_as_written  the same of the teacher's folder
    settings_as_drawn   1 where the manifest has the teacher, seed and `text` that are there now
    foreign_code        1 where other code than that of `generate` now wrote it, which warns

A row is broken where its teacher's hash is not that of the teacher on disk, its seed is not the one
that its place in the table has, its id does not say its index and attempt or stands there twice,
or its text is not what its ids decode to: it was edited by hand. A row that was carried over is
broken where it is not that of the table before.
"""

from collections import Counter
from typing import ClassVar

from lamol_core.artifacts.spec import GENERATE
from lamol_core.artifacts.version import code_version
from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import CARRIED, Audited, Check, Figure, Finding, Flag, Origin
from lamol_core.config.section import Section
from lamol_core.records import PseudoSample, pseudo_row_id
from lamol_core.seeds import pseudo_seed


class ProvenanceCheck(Check[Section]):
    name = "provenance"
    title = "Is every row what the teacher wrote"
    limits: ClassVar = {
        "broken_share": Limit(warn=0.0, fail=0.0),
        "foreign_code": Limit(warn=0.0, fail=1.0),
    }
    needs_samples = False

    def run(self, audited: Audited, params: Section) -> Finding:
        origin, notes = audited.origin, []
        drawn = [sample for task in audited.tasks for sample in task.drawn]
        times = Counter(sample.row_id for sample in drawn)
        flags = [
            Flag(sample.row_id, sample.source_task, self.name, reason)
            for sample in drawn
            if (reason := _broken(sample, audited, times[sample.row_id]))
        ]
        if not origin.table_is_as_written:
            notes.append("pseudo.parquet is not what its manifest says: it was changed.")
        if not origin.teacher_is_as_written:
            notes.append("the teacher's folder is not what its manifest says: it was changed.")
        if CARRIED in origin.manifest.inputs:
            num = sum(sample.row_id in origin.carried for sample in drawn)
            notes.append(
                f"{num} rows were carried over from the table before, written by earlier teachers: "
                "they do not fade."
                if origin.carried
                else "the table that rows were carried over from is not there as it was."
            )
        foreign = _foreign_settings(origin, bool(drawn))
        code = code_version(GENERATE.packages)
        is_foreign = origin.manifest.code_version != code
        if is_foreign:
            written = origin.manifest.code_version or "?"
            notes.append(f"written by the code {written}, that of `generate` now is {code}.")
        as_written = origin.table_is_as_written and origin.teacher_is_as_written
        share = len(flags) / len(drawn) if drawn else 0.0
        figures: dict[str, Figure] = {
            "broken_share": share if as_written and not foreign else 1.0,
            "table_as_written": float(origin.table_is_as_written),
            "teacher_as_written": float(origin.teacher_is_as_written),
            "settings_as_drawn": float(not foreign),
            "foreign_code": float(is_foreign),
        }
        notes += foreign
        return Finding(self.name, figures, {}, flags, notes=notes)


def _broken(sample: PseudoSample, audited: Audited, times: int) -> str:
    """Why a row is not what its teacher wrote; "" where it is."""
    origin, decode = audited.origin, audited.teacher.decode
    if times > 1:
        return "repeated_id"
    if sample.row_id in origin.carried:
        return "" if origin.carried[sample.row_id] == sample else "edited_row"
    draw = origin.new_task, sample.prompted_task, sample.gen_index, sample.attempt
    if sample.row_id != pseudo_row_id(*draw):
        return "foreign_id"
    if sample.teacher_sha256 != origin.teacher_sha256:
        return "foreign_teacher"
    if sample.seed != pseudo_seed(origin.seed, *draw):
        return "foreign_seed"
    if (
        min((*sample.input_ids, *sample.target_ids), default=0) < 0
        or decode(sample.input_ids) != sample.input
        or decode(sample.target_ids) != sample.target
    ):
        return "edited_text"
    return ""


def _foreign_settings(origin: Origin, has_rows: bool) -> list[str]:
    """What the table's manifest says that does not fit what is on disk and in params.yaml."""
    manifest, notes = origin.manifest, []
    teacher = manifest.inputs.get("teacher", "")
    if teacher != origin.teacher_sha256:
        notes.append(f"drawn from the teacher {teacher[:12] or '?'}, not from the one on disk.")
    now = {"seed": origin.seed, "text": origin.text.model_dump()}
    other = [
        f"{name} {manifest.parameters.get(name)} (now {value})"
        for name, value in now.items()
        if has_rows and manifest.parameters.get(name) != value
    ]
    if other:
        notes.append(f"drawn with other parameters than params.yaml has: {', '.join(other)}.")
    return notes
