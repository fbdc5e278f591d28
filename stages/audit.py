"""`lamol audit T`: may these pseudo-samples be trained on, and shared?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stages.console import print_json, print_table
from stages.runtime import MEASURED, JsonOption, StageRun, run_alone, stage

if TYPE_CHECKING:
    from lamol_core.audit.verdicts import Audit


@stage("audit")
def audit(run: StageRun, json: JsonOption = False) -> None:
    """Check the pseudo-samples drawn for a task: runs/TASK/audit.

    Example: lamol audit travel
    """
    from lamol_core.artifacts.figures import write_json
    from lamol_core.artifacts.manifest import is_whole
    from lamol_core.artifacts.spec import AUDIT, PSEUDO, repro
    from lamol_core.audit.folder import clean_audited, read_audit, read_history, write_audit
    from lamol_core.audit.loading import read_audited
    from lamol_core.audit.params import AuditParams
    from lamol_core.audit.verdicts import audit_table
    from lamol_core.text.params import TextParams

    params, text = run.block("audit", AuditParams), run.block("text", TextParams)
    folder = run.layout.audit(run.task)
    audited = read_audited(run.layout, run.task, run.after, run.seed, text)
    run.inputs |= {
        "pseudo": audited.origin.manifest.content_sha256,
        "table": audited.origin.table_sha256,
        "teacher": audited.origin.teacher_sha256,
    }
    provenance = run.provenance({"seed": run.seed, **params.model_dump(mode="json")})
    if audited.has_forgotten_rows and is_whole(folder, AUDIT.kind, provenance):
        run.say(
            "real rows are forgotten; the audit of this very table that is there stays: "
            f"{folder / 'index.html'}. To have it made anew without them, remove that folder."
        )
        if json:
            print_json(read_audit(folder))
        return
    if params.ask_teacher and audited.tasks:
        from lamol_core.decoding.answers import AskedTeacher

        asked = AskedTeacher(audited.origin.teacher, text, params.batch_size)  # loads when asked
        teacher = replace(audited.teacher, answers=asked.answers, score=asked.score)
        audited = replace(audited, teacher=teacher)
    run.cost.imported()
    found = audit_table(audited, params)
    cleaned = None
    if audited.origin.table_is_as_written:
        cleaned = audit_table(clean_audited(audited, found), params)
    history = read_history(run.layout.audit(run.after))
    if audited.tasks and not history.verdicts:
        run.say(f"no audit of {run.after} is there: nothing is told of how memory fades.")
    content = write_audit(
        folder, found, audited, history, params.show_real_rows, provenance, cleaned
    )
    figures = _figures(found, content) | run.cost.figures()
    write_json(run.layout.figure(run.task, "audit"), figures, MEASURED)
    if json:
        print_json(content)
    else:
        from lamol_core.audit.terminal import audit_table_of

        print_table(audit_table_of(found))
    for note in found.notes:
        run.say(note)
    if cleaned is None:
        run.say(
            "no verdict without the flagged rows: those of a table that was changed can't be told "
            f"from those that were drawn. Run {repro(PSEUDO, run.task)} again."
        )
    failed = f" ({', '.join(found.failed)} failed)" if found.failed else ""
    without = f"; without them {cleaned.verdict}" if cleaned and content["rows_flagged"] else ""
    run.say(
        f"{found.verdict}{failed}, {content['rows_flagged']} of {found.rows_drawn} rows "
        f"flagged{without} -> {folder / 'index.html'}"
    )


def _figures(found: Audit, content: dict[str, Any]) -> dict[str, Any]:
    """What the report tells of an audit."""
    from lamol_core.audit.registry import CHECKS

    poor = [one.name for one in CHECKS if one.tells_poor_samples and one.name in found.failed]
    return {
        "verdict": found.verdict,
        "failed": found.failed,
        "poor_samples_by": poor,
        "verdicts": content["verdicts"],
        "rows_flagged": content["rows_flagged"],
        "checks": {
            name: {key: told[key] for key in ("verdict", "rows_flagged")}
            for name, told in content["checks"].items()
        },
    }


if __name__ == "__main__":
    run_alone(audit)
