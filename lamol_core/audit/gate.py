"""What stands between a table of pseudo-samples and training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.figures import read_json, write_json
from lamol_core.artifacts.kinds import AUDIT
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import (
    MANIFEST,
    Manifest,
    Provenance,
    check_folder,
    read_manifest,
    seal_folder,
    sha256_of,
    table_manifest,
)
from lamol_core.artifacts.tables import read_rows, write_rows
from lamol_core.config.blocks import BASE, AuditParams
from lamol_core.errors import ArtifactError, GenerationError
from lamol_core.records import PseudoSample, TaskFacts

log = logging.getLogger(__name__)
FIGURES, FLAGS, CLEANED = "audit.json", "rows.parquet", "cleaned.parquet"
JUDGED_BY = ("limits", "min_rows", "ask_teacher", "phone_regions")
"""Parameters of an audit on which its verdict depends."""
FLAG_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("source_task", pa.string()),
        ("check", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("real_row_id", pa.string()),
        ("span_start", pa.int64()),
        ("span_words", pa.int64()),
    ]
)


def write_base_audit(folder: Path) -> None:
    """The audit before any task: nothing was drawn or flagged, no figure has a history."""
    with atomic_folder(folder) as scratch:
        write_rows(scratch / FLAGS, [], FLAG_SCHEMA)
        write_json(scratch / FIGURES, {"task": BASE, "verdicts": [], "fading": []})
        seal_folder(scratch, AUDIT, {}, Provenance())


def flagged_rows(folder: Path, remedy: str) -> set[str]:
    """The ids of the rows that an audit flags."""
    return set(read_rows(folder / FLAGS, FLAG_SCHEMA, remedy)["row_id"].to_pylist())


def shows_real_rows(folder: Path) -> bool:
    """Whether an audit's page has real rows on it (`audit.show_real_rows`)."""
    path = folder / MANIFEST
    return path.is_file() and bool(read_manifest(path, "").parameters.get("show_real_rows"))


def passed_table(layout: Layout, task: str, params: AuditParams) -> Path:
    """The table that may be mixed in: the one that was drawn, or that without its flagged rows.

    Raises GenerationError where `audit.gate` is fail and the audit failed, ArtifactError where
    there is no audit; with gate off none is looked for."""
    if params.gate == "off" and not params.drop_flagged:
        return layout.pseudo(task)
    folder, remedy = layout.audit(task), f"Run `dvc repro audit@{task}` again."
    manifest = check_folder(folder, AUDIT, remedy)
    table = layout.pseudo(task)
    drawn = read_manifest(table_manifest(table), f"Run `dvc repro generate@{task}` again.")
    if manifest.inputs.get("pseudo") != drawn.content_sha256:
        raise ArtifactError(f"{folder}: is the audit of another table than {table}. {remedy}")
    _check_settings(folder, manifest, params, remedy)
    audit = read_json(folder / FIGURES, remedy)
    judged = audit
    if params.drop_flagged:
        if "cleaned" not in audit:
            raise ArtifactError(
                f"{folder}: has no cleaned table; it was made without audit.drop_flagged, or of a "
                f"table that was changed since it was drawn. Run `dvc repro generate@{task}` and "
                f"`dvc repro audit@{task}` again."
            )
        table, judged = folder / CLEANED, audit["cleaned"]
    changed = sha256_of(layout.pseudo(task)) not in drawn.files.values()
    again = f"it was changed since it was drawn: `dvc repro generate@{task}` draws it again."
    failed = ", ".join(judged["failed"])
    if judged["verdict"] == "fail" and params.gate == "fail":
        advice = "`audit.gate: warn` trains on it all the same."
        if audit["rows_flagged"] and not params.drop_flagged:
            num_flagged = audit["rows_flagged"]
            advice = f"`audit.drop_flagged: true` drops its {num_flagged} flagged rows, {advice}"
        raise GenerationError(
            f"{table}: its audit failed ({failed}), and audit.gate is fail. Look at "
            f"{folder}/index.html; {again if changed else advice}"
        )
    if changed:
        raise ArtifactError(f"{table}: {again}")
    if judged["verdict"] == "fail":
        log.warning("%s: its audit failed (%s); it is trained on.", table, failed)
    return table


def _check_settings(folder: Path, manifest: Manifest, params: AuditParams, remedy: str) -> None:
    """Raises ArtifactError where an audit judged by others than these parameters."""
    settings = params.model_dump(mode="json")
    other = [name for name in JUDGED_BY if manifest.parameters.get(name) != settings[name]]
    if other:
        named = ", ".join(f"audit.{name}" for name in other)
        raise ArtifactError(f"{folder}: made with another {named} than params.yaml's. {remedy}")


def require_rows(drawn: Path, left: Sequence[PseudoSample], earlier: Sequence[TaskFacts]) -> None:
    """Raises GenerationError where a task that rows were drawn of has none left."""
    table = pq.read_table(drawn, columns=["source_task", "valid"]).to_pylist()
    had = {row["source_task"] for row in table if row["valid"]}
    has = {sample.source_task for sample in left if sample.valid}
    lost = [facts.name for facts in earlier if facts.name in had - has]
    if lost:
        raise GenerationError(
            f"{drawn}: all rows of {', '.join(lost)} are flagged: audit.drop_flagged leaves none. "
            "Look at the audit; nothing of these tasks would be rehearsed."
        )
