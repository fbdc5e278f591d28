"""Provenance: whether every row is what its teacher wrote, judged by the table and its manifest.

    broken_share        share of broken rows; 1 where one of the next three figures is 0
    table_as_written    1 where the table's file has the hash in its manifest, else 0
    teacher_as_written  1 where the teacher's folder has the hash in its manifest, else 0
    settings_as_drawn   1 where the manifest has the teacher, seed and `text` in use now, else 0
    foreign_code        1 where `generate` has other code now than when it wrote the table, else 0;
                        1 is a warning, no failure

A row is broken where its teacher hash or its seed is not that of its draw, where its id does not
match its draw or occurs twice, or where its token ids do not decode to its text (it was edited). A
row carried over from the table of the previous task is broken where it differs from the row there.
"""

from collections import Counter
from typing import ClassVar

from lamol_core.artifacts.spec import GENERATE
from lamol_core.artifacts.version import code_version
from lamol_core.audit.figures import Figure
from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import CARRIED, Audited, Check, Finding
from lamol_core.config.section import Section
from lamol_core.records import PseudoSample, all_texts, pseudo_row_id
from lamol_core.seeds import pseudo_seed


class ProvenanceCheck(Check[Section]):
    name = "provenance"
    title = "Is every row what the teacher wrote"
    about = "privacy"
    row_verdict = "edited"
    limits: ClassVar = {
        "broken_share": Limit(warn=0.0, fail=0.0),
        "foreign_code": Limit(warn=0.0, fail=1.0),
    }
    needs_samples = False

    def run(self, audited: Audited, params: Section) -> Finding:
        origin, drawn, notes = audited.origin, audited.drawn, []
        times = Counter(sample.row_id for sample in drawn)
        flags = [
            self.flag(sample, reason)
            for sample in drawn
            if (reason := _why_broken(sample, audited, times[sample.row_id]))
        ]
        if not origin.table_is_as_written:
            notes.append("pseudo.parquet was changed: its manifest has another hash.")
        if not origin.teacher_is_as_written:
            notes.append("the teacher's folder was changed: its manifest has another hash.")
        if origin.carried_is_lost:
            notes.append("the table that rows were carried over from is missing or was changed.")
        elif CARRIED in origin.manifest.inputs:
            num = sum(sample.row_id in origin.carried for sample in drawn)
            notes.append(f"{num} rows were carried over; earlier teachers wrote them.")
        foreign = _foreign_settings(audited)
        written, code = origin.manifest.code_version, code_version(GENERATE.packages)
        if written != code:
            notes.append(f"code {written or '?'} wrote the table; `generate` now has code {code}.")
        as_written = origin.table_is_as_written and origin.teacher_is_as_written
        broken_share = len(flags) / max(len(drawn), 1)
        figures: dict[str, Figure] = {
            "broken_share": broken_share if as_written and not foreign else 1.0,
            "table_as_written": float(origin.table_is_as_written),
            "teacher_as_written": float(origin.teacher_is_as_written),
            "settings_as_drawn": float(not foreign),
            "foreign_code": float(written != code),
        }
        return Finding(self.name, figures, {}, flags, notes=[*notes, *foreign])


def _why_broken(sample: PseudoSample, audited: Audited, times: int) -> str:
    """Return why a row is broken, "" for a sound row. `times` is how often its id occurs in the
    table."""
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
    if sample.seed != pseudo_seed(audited.seed, *draw):
        return "foreign_seed"
    all_ids = [*sample.history_ids, sample.input_ids, sample.target_ids]
    written = [decode(ids) if min(ids, default=0) >= 0 else None for ids in all_ids]
    stored: list[str | None] = [*all_texts(sample)]
    if origin.text.format == "chat":  # whose template may cut white space around texts
        written, stored = ([text and text.strip() for text in of] for of in (written, stored))
    return "" if written == stored else "edited_text"


def _foreign_settings(audited: Audited) -> list[str]:
    """Return a note if the table was drawn from another teacher, and, if it has rows, a note if
    `seed` or `text` differs from params.yaml; [] where they agree."""
    origin = audited.origin
    drawn_with, notes = origin.manifest.parameters, []
    teacher = origin.manifest.inputs.get("teacher", "")
    if teacher != origin.teacher_sha256:
        notes.append(f"drawn from the teacher {teacher[:12] or '?'}, not from the one on disk.")
    now = {"seed": audited.seed, "text": origin.text.model_dump()}
    changed = [
        f"{k} {drawn_with.get(k)} (now {now[k]})" for k in now if drawn_with.get(k) != now[k]
    ]
    if audited.drawn and changed:
        notes.append(f"drawn with other parameters than params.yaml has: {', '.join(changed)}.")
    return notes
