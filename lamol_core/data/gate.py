"""What stands between a table of pseudo-samples and training: its audit's verdict and flags.

The audit gives both verdicts, of all rows and without the flagged ones; which rows are trained on
is decided here.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.figures import read_json, write_json
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import MANIFEST, Manifest, read_manifest, seal_folder, sha256_of
from lamol_core.artifacts.spec import AUDIT, PSEUDO, remedy, repro
from lamol_core.artifacts.store import check, manifest_of, read
from lamol_core.artifacts.tables import read_rows, write_rows
from lamol_core.config.task_names import BASE
from lamol_core.data.params import MixParams
from lamol_core.errors import ArtifactError, GenerationError
from lamol_core.records import FLAG_SCHEMA, PseudoSample, TaskFacts, from_table

log = logging.getLogger(__name__)
FIGURES, FLAGS = "audit.json", "rows.parquet"
WITHOUT = "without_flagged"
"""In audit.json: verdict, failed checks and rows kept of the table without its flagged rows."""


def write_base_audit(folder: Path) -> None:
    """The audit before any task: nothing was drawn or flagged, no figure has a history."""
    with atomic_folder(folder) as scratch:
        write_rows(scratch / FLAGS, [], FLAG_SCHEMA)
        write_json(scratch / FIGURES, {"task": BASE, "verdicts": [], "fading": []})
        seal_folder(scratch, AUDIT.kind, {})


def flagged_rows(layout: Layout, task: str) -> set[str]:
    """The ids of the rows that a task's audit flags."""
    path = layout.audit(task) / FLAGS
    return set(read_rows(path, FLAG_SCHEMA, remedy(AUDIT, task))["row_id"].to_pylist())


def shows_real_rows(folder: Path) -> bool:
    """Whether an audit's page has real rows on it (`audit.show_real_rows`)."""
    path = folder / MANIFEST
    return path.is_file() and bool(read_manifest(path, "").parameters.get("show_real_rows"))


@dataclass(frozen=True)
class PassedRows:
    """The pseudo-samples that may be trained on."""

    samples: list[PseudoSample]
    manifest: Manifest
    """Of the table that they were drawn into."""
    num_dropped: int
    """Valid rows that were left out because the audit flags them."""


def pass_gate(
    layout: Layout, task: str, params: MixParams, earlier: Sequence[TaskFacts]
) -> PassedRows:
    """The rows drawn for a task, without the flagged ones where `drop_flagged` says so.

    Raises GenerationError where `gate` is fail and the audit failed, or no row of a task is left;
    ArtifactError where there is no audit of this table, or it was changed. With gate off and no
    flagged row to drop no audit is looked for."""
    asked = params.gate != "off" or params.drop_flagged
    failed = _failed_checks(layout, task, params) if asked else ""
    rows, manifest = read(layout, PSEUDO, task)
    if failed:
        table = layout.pseudo(task)
        log.warning("%s: its audit failed (%s); it is trained on.", table, failed)
    samples = from_table(rows, PseudoSample)
    flagged = flagged_rows(layout, task) if params.drop_flagged else set()
    left = [sample for sample in samples if sample.row_id not in flagged]
    had = {sample.source_task for sample in samples if sample.valid}
    has = {sample.source_task for sample in left if sample.valid}
    lost = [facts.name for facts in earlier if facts.name in had - has]
    if lost:
        raise GenerationError(
            f"{layout.pseudo(task)}: all rows of {', '.join(lost)} are flagged: mix.drop_flagged "
            "leaves none. Look at the audit; nothing of these tasks would be rehearsed."
        )
    dropped = sum(sample.valid and sample.row_id in flagged for sample in samples)
    return PassedRows(left, manifest, dropped)


def _failed_checks(layout: Layout, task: str, params: MixParams) -> str:
    """What failed of an audit that may be trained on all the same, "" where it did not fail.

    Raises as `pass_gate` for one that is missing, of another table, or failed."""
    folder, mend, table = layout.audit(task), remedy(AUDIT, task), layout.pseudo(task)
    drawn = manifest_of(layout, PSEUDO, task)
    if check(layout, AUDIT, task).inputs.get("pseudo") != drawn.content_sha256:
        raise ArtifactError(f"{folder}: is the audit of another table than {table}. {mend}")
    audit = read_json(folder / FIGURES, mend)
    again = f"it was changed since it was drawn: {repro(PSEUDO, task)} draws it again."
    if params.drop_flagged and WITHOUT not in audit:
        raise ArtifactError(f"{table}: its flagged rows can't be dropped, {again}")
    judged = audit[WITHOUT] if params.drop_flagged else audit
    failed = ", ".join(judged["failed"])
    if judged["verdict"] == "fail" and params.gate == "fail":
        advice = "`mix.gate: warn` trains on it all the same."
        flagged = audit["rows_flagged"]
        helps = audit.get(WITHOUT, judged)["verdict"] != "fail"
        if flagged and helps and not params.drop_flagged:
            advice = f"`mix.drop_flagged: true` drops its {flagged} flagged rows, {advice}"
        if sha256_of(table) not in drawn.files.values():
            advice = again
        raise GenerationError(
            f"{table}: its audit failed ({failed}), and mix.gate is fail. Look at "
            f"{folder}/index.html; {advice}"
        )
    return failed if judged["verdict"] == "fail" else ""
