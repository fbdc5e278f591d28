"""`lamol audit T`: check whether the pseudo-samples of task T may be trained on and shared."""

from lamol_core.artifacts.spec import AUDIT, AUDIT_PAGE, PSEUDO, remedy
from lamol_core.audit.folder import figures_of, read_history, whole_audit, write_audit
from lamol_core.audit.loading import read_audited, with_asked_teacher
from lamol_core.audit.params import AuditParams
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.terminal import in_one_line, terminal_table
from lamol_core.audit.verdicts import audit_cleaned, run_checks
from lamol_core.text.params import TextParams
from stages.console import progress
from stages.guard import run_as_module
from stages.runtime import StageRun, stage


@stage("audit")
def audit(run: StageRun) -> None:
    params, text = run.block("audit", AuditParams), run.block("text", TextParams)
    page = run.path(AUDIT) / AUDIT_PAGE
    audited = read_audited(run, run.seed, text)
    parameters = {"seed": run.seed, **params.model_dump(mode="json")}
    if (whole := whole_audit(run, audited, parameters)) is not None:
        run.say(
            f"real rows were forgotten, so the existing audit is kept: {page}. Delete "
            f"{page.parent} to audit again without those rows."
        )
        return run.show(whole)
    asks = params.ask_teacher and bool(audited.tasks)
    # all is done twice: the second time without the flagged rows
    total, unit = (2 * len(audited.kept), "rows") if asks else (2 * len(CHECKS), "checks")
    with progress(f"audit {run.task}", total, unit) as advance:
        if asks:
            audited = with_asked_teacher(audited, params.batch_size, advance)
        on_check_done = (lambda: None) if asks else advance
        found = run_checks(audited, params, on_check_done=on_check_done)
        cleaned = audit_cleaned(found, params, on_check_done)
    history = read_history(run)
    if audited.tasks and not history["verdicts"]:
        run.say(f"there is no audit of {run.after}, so the history of its figures is left out.")
    made = run.provenance(parameters)
    content = write_audit(run.layout, found, cleaned, history, params.show_real_rows, made)
    run.write_figures(figures_of(found, content))
    run.show(content, terminal_table(found))
    if params.show_real_rows:
        run.say(f"{run.layout.page_with_real_rows(run.task)} shows real rows")
    for note in found.notes:
        run.say(note)
    if cleaned is None:
        run.say(
            "the table was changed after it was drawn: no second verdict, of the rows that are not "
            f"flagged, can be given. {remedy(PSEUDO, run.task)}"
        )
    run.say(f"{in_one_line(found, cleaned)} -> {page}")


if __name__ == "__main__":
    run_as_module("audit")
