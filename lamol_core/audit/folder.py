"""Reads and writes an audit's files: figures and verdicts, flagged rows, the page, the cards."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamol_core.artifacts import spec
from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.figures import read_json, write_json, write_text
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance, is_whole, seal_folder
from lamol_core.artifacts.store import Inputs
from lamol_core.artifacts.tables import write_rows
from lamol_core.audit.cards import croissant, dataset_card
from lamol_core.audit.page import fading_chart, render_audit
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.spec import Audited
from lamol_core.audit.verdicts import ABOUT, NO_HISTORY, Audit
from lamol_core.data.gate import WITHOUT
from lamol_core.errors import ArtifactError
from lamol_core.reporting.plots import to_svg


def write_audit(
    layout: Layout,
    audit: Audit,
    cleaned: Audit | None,
    history: Mapping[str, Any],
    show_real_rows: bool,
    provenance: Provenance,
) -> dict[str, Any]:
    """Write the folder of an audit, with its manifest, and the cards beside the table. Return the
    content of audit.json.

    `cleaned` is the audit of the table without its flagged rows; None where the table was
    changed since it was drawn. `history` is the content of the previous task's audit.json. With
    `show_real_rows` a second page, which shows real rows, is written outside of DVC's outputs."""
    task, content = audit.task, audit.as_dict(history)
    if cleaned is not None:
        content[WITHOUT] = {
            "verdict": cleaned.verdict,
            "failed": cleaned.failed,
            "rows_kept": len(cleaned.audited.kept),
        }
        content["verdicts"][-1][WITHOUT] = content[WITHOUT]
    with atomic_folder(layout.audit(task)) as scratch:
        write_json(scratch / spec.AUDIT_FIGURES, content)
        page = render_audit(audit, content, show_real_rows=False)
        (scratch / spec.AUDIT_PAGE).write_text(page, encoding="utf-8")
        if (chart := fading_chart(content["fading"])) is not None:
            (scratch / "fading.svg").write_text(to_svg(chart, "white"), encoding="utf-8")
        write_rows(scratch / spec.AUDIT_FLAGS, audit.flags, spec.AUDIT.schema)
        seal_folder(scratch, spec.AUDIT.kind, {"flags": len(audit.flags)}, provenance)
    texts = {
        spec.DATASET_CARD.at(task, layout.root): dataset_card(content, audit.audited),
        spec.CROISSANT.at(task, layout.root): croissant(content, audit.audited),
    }
    with_real_rows = layout.page_with_real_rows(task)
    with_real_rows.unlink(missing_ok=True)
    if show_real_rows:
        texts[with_real_rows] = render_audit(audit, content, show_real_rows=True)
    for path, text in texts.items():
        write_text(path, text)
    return content


def figures_of(audit: Audit, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures that the report reads. `content` is the content of audit.json."""
    poor = [c.name for c in CHECKS if c.shows_poor_samples and c.name in audit.failed]
    return {
        "verdict": audit.verdict,
        **{about: content[about]["verdict"] for about in ABOUT},
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
    """Return the content of audit.json on disk if it can be used again but not made again: it is
    of this table and these parameters, and real rows have been forgotten. Else return None."""
    folder = inputs.path(spec.AUDIT)
    table = {name: inputs.hashes[name] for name in ("pseudo", "table", "teacher")}
    made = Provenance(dict(parameters), table)
    is_forgotten = any(task.forgotten_on for task in audited.tasks)
    return _read_audit(folder) if is_forgotten and is_whole(folder, spec.AUDIT.kind, made) else None


def read_history(inputs: Inputs) -> Mapping[str, Any]:
    """Return the content of the previous task's audit.json, for its verdicts and fading figures;
    NO_HISTORY where that task has no audit. Raises ArtifactError where the audit was changed."""
    folder = inputs.path(spec.AUDIT, "before")
    path = folder / spec.AUDIT_FIGURES
    if not path.is_file():
        return NO_HISTORY
    inputs.check(spec.AUDIT, "before")
    content = _read_audit(folder)
    if not all(isinstance(content.get(name), list) for name in NO_HISTORY):
        raise ArtifactError(f"{path}: not an audit. {spec.remedy(spec.AUDIT, folder.parent.name)}")
    return content


def _read_audit(folder: Path) -> dict[str, Any]:
    return read_json(folder / spec.AUDIT_FIGURES, spec.remedy(spec.AUDIT, folder.parent.name))
