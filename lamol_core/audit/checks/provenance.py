"""Provenance: whether every row is what its teacher wrote, by what stands beside it.

    broken_share      rows that are not
    table_as_written  1 where the file has the hash that its manifest says, else 0

A row is broken where its teacher's hash is not that of the teacher on disk, its seed is not the one
that its place in the table has, its id does not say its index and attempt, or its text is not
what its ids decode to: it was edited by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lamol_core import __version__
from lamol_core.audit.base import Audited, Check, Figure, Finding, Flag, Origin
from lamol_core.config import AuditParams
from lamol_core.records import PseudoSample
from lamol_core.seeds import derive_seed

Decode = Callable[[Sequence[int]], str]


class ProvenanceCheck(Check):
    name = "provenance"
    title = "Is every row what the teacher wrote"
    limits = {"broken_share": "high"}  # noqa: RUF012

    def __init__(self, decode: Decode | None = None) -> None:
        self._decode = decode

    def run(self, audited: Audited, params: AuditParams) -> Finding:
        origin, notes = audited.origin, []
        flags = [
            Flag(sample.row_id, sample.source_task, self.name, reason)
            for task in audited.tasks
            for sample in task.drawn
            if (reason := self._broken(sample, origin))
        ]
        total = sum(len(task.drawn) for task in audited.tasks)
        share = len(flags) / total if total else 0.0
        if not origin.table_is_as_written:
            notes.append("pseudo.parquet is not what its manifest says: it was changed.")
            share = share or 1 / max(total, 1)
        notes += _manifest_notes(origin)
        figures: dict[str, Figure] = {
            "broken_share": share,
            "table_as_written": float(origin.table_is_as_written),
        }
        return Finding(self.name, figures, {}, flags, notes=notes)

    def _broken(self, sample: PseudoSample, origin: Origin) -> str:
        new_task, index, attempt = origin.new_task, sample.gen_index, sample.attempt
        prompted = sample.row_id.split("/")[2] if sample.row_id.count("/") == 3 else ""
        if sample.row_id != f"{new_task}/pseudo/{prompted}/{index:06d}.{attempt}":
            return "foreign_id"
        if sample.teacher_sha256 != origin.teacher_sha256:
            return "foreign_teacher"
        seed = derive_seed(origin.seed, "pseudo", new_task, prompted, index, attempt)
        if sample.seed != seed:
            return "foreign_seed"
        if self._decode is not None and (
            self._decode(sample.input_ids) != sample.input
            or self._decode(sample.target_ids) != sample.target
        ):
            return "edited_text"
        return ""


def _manifest_notes(origin: Origin) -> list[str]:
    """What the table's manifest says that does not fit what is on disk and in params.yaml."""
    manifest, notes = origin.manifest, []
    if manifest.code_version != __version__:
        notes.append(f"written by lamol {manifest.code_version}, this is {__version__}.")
    teacher = manifest.inputs.get("teacher", origin.teacher_sha256)
    if teacher != origin.teacher_sha256:
        notes.append(f"drawn from the teacher {teacher[:12]}, not from the one on disk.")
    settings = {"seed": origin.seed, **origin.generate.model_dump(mode="json")}
    other = [
        f"{name} {manifest.parameters[name]} (now {value})"
        for name, value in settings.items()
        if name in manifest.parameters and manifest.parameters[name] != value
    ]
    if other:
        notes.append(f"drawn with other parameters than params.yaml has: {', '.join(other)}.")
    return notes
