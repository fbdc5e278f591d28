"""`lamol audit T`: may these pseudo-samples be trained on, and shared?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.runtime import (
    MEASURED,
    Cost,
    DebugOption,
    JsonOption,
    SetOption,
    TaskArgument,
    guarded,
    open_params,
    run_alone,
)

if TYPE_CHECKING:
    from lamol_core.artifacts.manifest import Provenance
    from lamol_core.audit.spec import Audited, Check
    from lamol_core.audit.verdicts import Audit
    from lamol_core.config.blocks import AuditParams, Params

DropOption = Annotated[
    bool,
    typer.Option(
        "--drop-flagged", help="Write a table without the flagged rows too (audit.drop_flagged)."
    ),
]


@guarded
def audit(
    task: TaskArgument,
    overrides: SetOption = None,
    drop_flagged: DropOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check the pseudo-samples drawn for a task: runs/TASK/audit.

    Example: lamol audit travel --drop-flagged
    """
    cost = Cost()
    from lamol_core.artifacts.figures import write_json
    from lamol_core.artifacts.kinds import AUDIT
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.manifest import is_whole
    from lamol_core.audit.folder import (
        clean_audited,
        read_audit,
        read_history,
        write_audit,
    )
    from lamol_core.audit.loading import read_audited
    from lamol_core.audit.verdicts import audit_table
    from stages.console import print_json, print_table, say

    params, layout = open_params(overrides), Layout()
    after = params.task(task).after
    settings = params.audit
    if drop_flagged:
        settings = settings.model_copy(update={"drop_flagged": True})
    audited = read_audited(layout, task, params)
    provenance = _provenance(audited, params.seed, settings)
    if audited.has_forgotten_rows and is_whole(layout.audit(task), AUDIT, provenance):
        say(
            f"audit {task}: real rows are forgotten; the audit of this very table that is there "
            f"stays: {layout.audit(task) / 'index.html'}. To have it made anew without them, "
            "remove that folder."
        )
        if json:
            print_json(read_audit(layout.audit(task)))
        return
    checks = _checks(audited, params, settings)
    cost.imported()
    found = audit_table(audited, checks, settings)
    cleaned = None
    if settings.drop_flagged and audited.origin.table_is_as_written:
        cleaned = audit_table(clean_audited(audited, found), checks, settings)
    history = read_history(layout.audit(after))
    if audited.tasks and not history.verdicts:
        say(f"audit {task}: no audit of {after} is there: nothing is told of how memory fades.")
    content = write_audit(
        layout.audit(task), found, audited, history, settings.show_real_rows, provenance, cleaned
    )
    figures = _figures(found, content, settings.drop_flagged) | cost.figures()
    write_json(layout.figure(task, "audit"), figures, MEASURED)
    if json:
        print_json(content)
    elif found.findings:
        from lamol_core.audit.terminal import audit_table_of

        print_table(audit_table_of(found))
    for note in found.notes:
        say(f"audit {task}: {note}")
    if settings.drop_flagged and cleaned is None:
        say(
            f"audit {task}: no cleaned table: rows of a table that was changed can't be told from "
            f"those that were drawn. Run `dvc repro generate@{task}` again."
        )
    failed = f" ({', '.join(found.failed)} failed)" if found.failed else ""
    say(
        f"audit {task}: {found.verdict}{failed}, {content['rows_flagged']} of {found.rows_drawn} "
        f"rows flagged -> {layout.audit(task) / 'index.html'}"
    )


def _figures(found: Audit, content: dict[str, Any], dropped: bool) -> dict[str, Any]:
    """What the report tells of an audit."""
    return {
        "verdict": found.verdict,
        "failed": found.failed,
        "verdicts": content["verdicts"],
        "rows_flagged": content["rows_flagged"],
        "flagged_rows_dropped": dropped,
        "checks": {
            name: {key: told[key] for key in ("verdict", "rows_flagged")}
            for name, told in content["checks"].items()
        },
    }


def _provenance(audited: Audited, seed: int, settings: AuditParams) -> Provenance:
    from lamol_core.artifacts.manifest import Provenance

    origin = audited.origin
    return Provenance(
        {"seed": seed, **settings.model_dump(mode="json", exclude={"gate", "canaries"})},
        {
            "pseudo": origin.manifest.content_sha256,
            "table": origin.table_sha256,
            "teacher": origin.teacher_sha256,
        },
    )


def _checks(audited: Audited, params: Params, settings: AuditParams) -> list[Check]:
    from lamol_core.audit.checks.provenance import ProvenanceCheck
    from lamol_core.audit.loading import decoder_of
    from lamol_core.audit.registry import build_checks

    if not audited.tasks:
        return [ProvenanceCheck()]
    decode = decoder_of(audited.origin.teacher)
    if not settings.ask_teacher:
        return build_checks(decode)
    from lamol_core.decoding.answers import AskedTeacher
    from lamol_core.methods.quotas import find_sampling

    sampling = find_sampling(params)
    task_token = sampling is not None and sampling.task_specific_token
    teacher = AskedTeacher(audited.origin.teacher, audited.origin.generate, task_token)
    return build_checks(decode, teacher.answers, teacher.score)


if __name__ == "__main__":
    run_alone(audit)
