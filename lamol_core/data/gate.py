"""The gate: which pseudo-samples may be trained on, given the verdict and the flags of their audit.

An audit gives two verdicts: one for all rows, one for the rows that it does not flag.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.figures import read_json, write_json
from lamol_core.artifacts.manifest import seal_folder, sha256_of
from lamol_core.artifacts.spec import (
    AUDIT,
    AUDIT_FIGURES,
    AUDIT_FLAGS,
    AUDIT_PAGE,
    PSEUDO,
    Of,
    remedy,
    repro,
)
from lamol_core.artifacts.store import Inputs
from lamol_core.artifacts.tables import read_rows, write_rows
from lamol_core.config.task_names import BASE
from lamol_core.data.params import MixParams
from lamol_core.errors import ArtifactError, GenerationError
from lamol_core.records import ROW_VERDICTS, Flag, PseudoSample, TaskFacts, from_table

WITHOUT = "without_flagged"
"""The key in audit.json of the verdict, failed checks and row count without flagged rows."""


def write_base_audit(folder: Path) -> None:
    """Write the empty audit of `base`, which the first task reads as the audit before its own."""
    with atomic_folder(folder) as scratch:
        write_rows(scratch / AUDIT_FLAGS, [], AUDIT.schema)
        write_json(scratch / AUDIT_FIGURES, {"task": BASE, "verdicts": [], "fading": []})
        seal_folder(scratch, AUDIT.kind, {})


def flagged_rows(
    inputs: Inputs, of: Of = "task", verdicts: Collection[str] = ROW_VERDICTS
) -> set[str]:
    """The ids of the rows to which an audit gives one of these verdicts. `of`: whose audit it is.
    Raises ArtifactError where it is missing, was changed, or is of another table."""
    _require_own_audit(inputs, of)
    path, mend = inputs.path(AUDIT, of) / AUDIT_FLAGS, remedy(AUDIT, inputs.task_of(of))
    flags = from_table(read_rows(path, AUDIT.schema, mend), Flag)
    return {flag.row_id for flag in flags if flag.verdict in verdicts}


def _require_own_audit(inputs: Inputs, of: Of) -> None:
    """Check an audit, and that it is of the table that lies beside it. Raises ArtifactError
    otherwise."""
    audit, task = inputs.check(AUDIT, of), inputs.task_of(of)
    if task == BASE:  # an empty audit of an empty table
        return
    if audit.inputs.get(PSEUDO.name) != inputs.manifest_unchecked(PSEUDO, of).content_sha256:
        folder, table = inputs.path(AUDIT, of), inputs.path(PSEUDO, of)
        raise ArtifactError(
            f"{folder}: is not the audit of {table}, but of another table. {remedy(AUDIT, task)}"
        )


@dataclass(frozen=True)
class PassedRows:
    """The pseudo-samples that passed the gate. Invalid samples are still among them."""

    samples: list[PseudoSample]
    num_dropped: int
    """Valid rows that were left out because the audit flags them."""
    failed: str = ""
    """The failed checks of the audit, joined by commas, that `gate` lets pass."""


def pass_gate(inputs: Inputs, params: MixParams, earlier: Sequence[TaskFacts]) -> PassedRows:
    """Read a task's pseudo-samples, without those that `drop_flagged` leaves out.

    Raises GenerationError where `gate` is fail and the audit failed, or where one of the `earlier`
    tasks has no valid row left. Raises ArtifactError where the audit is missing, was changed, or is
    of another table. With `gate` off and without `drop_flagged` no audit is read."""
    needs_audit = params.gate != "off" or bool(params.dropped)
    failed = _failed_checks(inputs, params) if needs_audit else ""
    rows, _ = inputs.read(PSEUDO)
    table = inputs.path(PSEUDO)
    samples = from_table(rows, PseudoSample)
    flagged = flagged_rows(inputs, verdicts=params.dropped) if params.dropped else set()
    left = [sample for sample in samples if sample.row_id not in flagged]
    had = {sample.source_task for sample in samples if sample.valid}
    has = {sample.source_task for sample in left if sample.valid}
    if lost := [facts.name for facts in earlier if facts.name in had - has]:
        raise GenerationError(
            f"{table}: all rows of {', '.join(lost)} are flagged, so mix.drop_flagged leaves "
            f"none to rehearse. Look at {inputs.path(AUDIT) / AUDIT_PAGE}."
        )
    dropped = sum(sample.valid and sample.row_id in flagged for sample in samples)
    return PassedRows(left, dropped, failed)


def _failed_checks(inputs: Inputs, params: MixParams) -> str:
    """The failed checks of an audit, joined by commas; "" where it passed. Raises ArtifactError as
    `pass_gate` does, and GenerationError where `gate` is fail."""
    folder, mend, table = inputs.path(AUDIT), remedy(AUDIT, inputs.task), inputs.path(PSEUDO)
    drawn = inputs.manifest_unchecked(PSEUDO)
    _require_own_audit(inputs, "task")
    audit = read_json(folder / AUDIT_FIGURES, mend)
    changed = f"the table was changed after drawing: {repro(PSEUDO, inputs.task)} draws it again."
    if params.dropped and WITHOUT not in audit:
        raise ArtifactError(f"{table}: its flagged rows can't be dropped, {changed}")
    failed = ", ".join(_failed_without(audit, params.dropped)) if params.gate != "off" else ""
    if not failed or params.gate != "fail":
        return failed
    advice = "`mix.gate: warn` trains on it all the same."
    flagged, others_pass = audit["rows_flagged"], not audit.get(WITHOUT, audit)["failed"]
    if flagged and others_pass and not params.dropped:
        advice = f"`mix.drop_flagged: true` drops its {flagged} flagged rows, {advice}"
    if sha256_of(table) not in drawn.files.values():
        advice = changed
    raise GenerationError(
        f"{table}: its audit failed ({failed}), and mix.gate is fail. Look at "
        f"{folder / AUDIT_PAGE}; {advice}"
    )


def _failed_without(audit: Mapping[str, Any], dropped: frozenset[str]) -> list[str]:
    """The failed checks if rows with the `dropped` verdicts are left out. The verdict without
    flagged rows counts for the checks whose flagged rows are all dropped; for all checks, if every
    flagged row is dropped."""
    failed = list(audit["failed"])
    if not dropped:
        return failed
    without = audit[WITHOUT]["failed"]
    if dropped >= {*ROW_VERDICTS}:
        return list(without)
    mended = {name for name, check in audit["checks"].items() if check["row_verdict"] in dropped}
    return [name for name in failed if name not in mended or name in without]
