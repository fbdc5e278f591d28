"""The files of an audit: figures and verdicts, flagged rows, the page, the cards."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamol_core.artifacts.atomic import atomic_folder, atomic_path
from lamol_core.artifacts.figures import read_json, write_json
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance, is_whole, seal_folder
from lamol_core.artifacts.spec import (
    AUDIT,
    AUDIT_FIGURES,
    AUDIT_FLAGS,
    CROISSANT,
    DATASET_CARD,
    remedy,
)
from lamol_core.artifacts.store import Inputs
from lamol_core.artifacts.tables import write_rows
from lamol_core.audit.cards import croissant, dataset_card
from lamol_core.audit.page import fading_chart, render_audit
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.spec import Audited
from lamol_core.audit.verdicts import Audit, History
from lamol_core.data.gate import WITHOUT
from lamol_core.errors import ArtifactError
from lamol_core.reporting.plots import save_svg


def write_audit(
    layout: Layout,
    audit: Audit,
    cleaned: Audit | None,
    history: History,
    show_real_rows: bool,
    provenance: Provenance,
) -> dict[str, Any]:
    """Write the folder of an audit, with its manifest, and the cards beside the table; gives the
    content of audit.json. `cleaned` is the audit of the table without its flagged rows, None where
    the table was changed since it was drawn."""
    task, audited, content = audit.task, audit.audited, audit.as_dict(history)
    if cleaned is not None:
        content[WITHOUT] = {
            "verdict": cleaned.verdict,
            "failed": cleaned.failed,
            "rows_kept": cleaned.rows_kept,
        }
        content["verdicts"][-1][WITHOUT] = content[WITHOUT]
    with atomic_folder(layout.audit(task)) as scratch:
        write_json(scratch / AUDIT_FIGURES, content)
        page = render_audit(audit, content, audited, show_real_rows=False)
        (scratch / "index.html").write_text(page, encoding="utf-8")
        if (chart := fading_chart(content["fading"])) is not None:
            save_svg(chart, scratch / "fading.svg")
        write_rows(scratch / AUDIT_FLAGS, audit.flags, AUDIT.schema)
        seal_folder(scratch, AUDIT.kind, {"flags": len(audit.flags)}, provenance)
    with_real_rows = layout.page_with_real_rows(task)
    with_real_rows.unlink(missing_ok=True)
    if show_real_rows:
        with atomic_path(with_real_rows) as scratch:
            page = render_audit(audit, content, audited, show_real_rows=True)
            scratch.write_text(page, encoding="utf-8")
    for card, text in (
        (DATASET_CARD, dataset_card(content, audited)),
        (CROISSANT, croissant(content, audited)),
    ):
        with atomic_path(card.at(task, layout.root)) as scratch:
            scratch.write_text(text, encoding="utf-8")
    return content


def figures_of(audit: Audit, content: Mapping[str, Any]) -> dict[str, Any]:
    """What the report reads of an audit; `content` is that of audit.json."""
    poor = [one.name for one in CHECKS if one.tells_poor_samples and one.name in audit.failed]
    return {
        "verdict": audit.verdict,
        "failed": audit.failed,
        "poor_samples_by": poor,
        "verdicts": content["verdicts"],
        "rows_flagged": content["rows_flagged"],
        "checks": {
            name: {key: check[key] for key in ("verdict", "rows_flagged")}
            for name, check in content["checks"].items()
        },
    }


def whole_audit(
    inputs: Inputs, audited: Audited, parameters: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The content of the audit that is there, where it is of this very table and parameters and
    cannot be made again, because real rows were forgotten; else None."""
    folder = inputs.path(AUDIT)
    table = {name: inputs.hashes[name] for name in ("pseudo", "table", "teacher")}
    made = Provenance(dict(parameters), table)
    if audited.has_forgotten_rows and is_whole(folder, AUDIT.kind, made):
        return read_audit(folder)
    return None


def read_audit(folder: Path) -> dict[str, Any]:
    """The content of audit.json. Raises ArtifactError where there is none."""
    return read_json(folder / AUDIT_FIGURES, remedy(AUDIT, folder.parent.name))


def read_history(inputs: Inputs) -> History:
    """What the audit of the task before, and those before it, said; nothing where there is none.
    Raises ArtifactError for one that was changed."""
    folder = inputs.path(AUDIT, "before")
    path = folder / AUDIT_FIGURES
    if not path.is_file():
        return History()
    inputs.check(AUDIT, "before")
    content = read_audit(folder)
    if not all(isinstance(content.get(name), list) for name in ("verdicts", "fading")):
        raise ArtifactError(f"{path}: is no audit. {remedy(AUDIT, folder.parent.name)}")
    return History(content["verdicts"], content["fading"])
