"""What stands between a table of pseudo-samples and training."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow.parquet as pq

from lamol_core.config import AuditParams
from lamol_core.errors import GenerationError
from lamol_core.reporting.figures import read_json, write_json
from lamol_core.storage.atomic import atomic_folder
from lamol_core.storage.kinds import AUDIT
from lamol_core.storage.layout import Layout
from lamol_core.storage.manifest import Provenance, check_folder, seal_folder

log = logging.getLogger(__name__)
FIGURES, FLAGS, CLEANED = "audit.json", "rows.parquet", "cleaned.parquet"


def write_base_audit(folder: Path) -> None:
    """The audit before any task: nothing was drawn, no figure has a history."""
    with atomic_folder(folder) as scratch:
        write_json(scratch / FIGURES, {"task": "base", "verdict": "pass", "fading": []})
        seal_folder(scratch, AUDIT, {}, Provenance())


def flag_reasons(folder: Path) -> dict[str, list[str]]:
    """Why an audit flags rows, by their ids; {} where there is no audit."""
    path = folder / FLAGS
    if not path.is_file():
        return {}
    reasons: dict[str, list[str]] = {}
    table = pq.read_table(path, columns=["row_id", "reason"])
    for row_id, reason in zip(*(column.to_pylist() for column in table.columns), strict=True):
        reasons.setdefault(row_id, []).append(reason)
    return reasons


def passed_table(layout: Layout, task: str, params: AuditParams) -> Path:
    """The table that may be mixed in: the one that was drawn, or that without its flagged rows.

    Raises GenerationError where `audit.gate` is fail and the audit failed, ArtifactError where
    there is no audit; with gate off none is looked for."""
    if params.gate == "off" and not params.drop_flagged:
        return layout.pseudo(task)
    folder, remedy = layout.audit(task), f"Run `dvc repro audit@{task}` again."
    check_folder(folder, AUDIT, remedy)
    audit = read_json(folder / FIGURES, remedy)
    if params.drop_flagged:
        return folder / CLEANED
    if audit["verdict"] == "fail":
        failed = ", ".join(audit["failed"])
        if params.gate == "fail":
            raise GenerationError(
                f"{layout.pseudo(task)}: its audit failed ({failed}), and audit.gate is fail. Look "
                f"at {folder}/index.html; `audit.drop_flagged: true` trains without the "
                f"{audit['rows_flagged']} flagged rows, `audit.gate: warn` with them."
            )
        log.warning("%s: its audit failed (%s); it is trained on.", layout.pseudo(task), failed)
    return layout.pseudo(task)
