"""Writes a model card for a student: the tasks it learnt, its scores, the audits' verdicts."""

from statistics import fmean

from lamol_core.reporting.page import templates_of
from lamol_core.reporting.summary import TaskFigures
from lamol_core.reporting.tables import cell, markdown_table
from lamol_core.text.template import ANS


def model_card(figures: TaskFigures) -> str:
    """Return the card of the student after a task: Markdown with front matter for the Hugging Face
    hub.

    Scores are in percent; their average leaves out tasks whose test rows were forgotten."""
    scores, audit = figures.scores, figures.audit
    known = [score for score in scores.values() if score is not None]
    rows = [(task, cell(score), figures.num_test_rows[task]) for task, score in scores.items()]
    verdicts = [
        (verdict["task"], verdict["rows_kept"], verdict["verdict"], ", ".join(verdict["failed"]))
        for verdict in audit.get("verdicts", ())
        if verdict["rows_kept"]
    ]
    return templates_of("lamol_core.reporting").get_template("model_card.md.j2").render(
        method=figures.method,
        figures=figures,
        scores=[*rows, ("average", cell(fmean(known) if known else None), "")],
        forgotten=[task for task, score in scores.items() if score is None],
        verdicts=verdicts,
        checks=[
            (name, check["verdict"], check["rows_flagged"])
            for name, check in audit.get("checks", {}).items()
        ],
        ans=ANS,
        table=markdown_table,
    )  # fmt: skip
