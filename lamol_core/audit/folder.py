"""The files of an audit: figures and verdicts, flagged rows, the page, the cards."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lamol_core.artifacts.atomic import atomic_folder, atomic_path
from lamol_core.artifacts.figures import read_json, write_json
from lamol_core.artifacts.manifest import Provenance, seal_folder
from lamol_core.artifacts.spec import AUDIT, remedy
from lamol_core.artifacts.tables import write_rows
from lamol_core.audit.cards import CARD, CROISSANT, croissant, dataset_card
from lamol_core.audit.page import fading_chart, render_audit
from lamol_core.audit.spec import Audited
from lamol_core.audit.verdicts import Audit, History
from lamol_core.data.gate import FIGURES, FLAGS, WITHOUT
from lamol_core.errors import ArtifactError
from lamol_core.records import FLAG_SCHEMA
from lamol_core.reporting.plots import save_svg


def write_audit(
    folder: Path,
    audit: Audit,
    audited: Audited,
    history: History,
    show_real_rows: bool,
    provenance: Provenance,
    cleaned: Audit | None = None,
) -> dict[str, Any]:
    """Write the folder of an audit, with its manifest, and the cards beside the table; gives the
    content of audit.json. `cleaned` is the audit of the table without its flagged rows, None where
    they can't be told because the table was changed."""
    content = audit.as_dict(history)
    if cleaned is not None:
        content[WITHOUT] = {
            "verdict": cleaned.verdict,
            "failed": cleaned.failed,
            "rows_kept": cleaned.rows_kept,
        }
        content["verdicts"][-1][WITHOUT] = content[WITHOUT]
    with atomic_folder(folder) as scratch:
        write_json(scratch / FIGURES, content)
        page = render_audit(audit, content, audited, show_real_rows)
        (scratch / "index.html").write_text(page, encoding="utf-8")
        if (chart := fading_chart(content["fading"])) is not None:
            save_svg(chart, scratch / "fading.svg")
        write_rows(scratch / FLAGS, audit.flags, FLAG_SCHEMA)
        seal_folder(scratch, AUDIT.kind, {"flags": len(audit.flags)}, provenance)
    for name, text in (
        (CARD, dataset_card(content, audited)),
        (CROISSANT, croissant(content, audited)),
    ):
        with atomic_path(folder.parent / name) as scratch:
            scratch.write_text(text, encoding="utf-8")
    return content


def clean_audited(audited: Audited, audit: Audit) -> Audited:
    """The same tasks without the rows that an audit flags."""
    flagged = {flag.row_id for flag in audit.flags}
    tasks = [
        replace(task, drawn=[row for row in task.drawn if row.row_id not in flagged])
        for task in audited.tasks
    ]
    return replace(audited, tasks=tasks)


def read_audit(folder: Path) -> dict[str, Any]:
    """The content of audit.json. Raises ArtifactError where there is none."""
    return read_json(folder / FIGURES, remedy(AUDIT, folder.parent.name))


def read_history(folder: Path) -> History:
    """What the audit of the task before, and those before it, said; nothing where there is none."""
    path = folder / FIGURES
    if not path.is_file():
        return History()
    content = read_audit(folder)
    if not all(isinstance(content.get(name), list) for name in ("verdicts", "fading")):
        raise ArtifactError(f"{path}: is no audit. {remedy(AUDIT, folder.parent.name)}")
    return History(content["verdicts"], content["fading"])
