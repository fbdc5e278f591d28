"""Writes a model card for a student: the tasks it learnt, its scores, the audits' verdicts."""

from statistics import fmean

from lamol_core.reporting.page import templates_of
from lamol_core.reporting.summary import TaskFigures
from lamol_core.reporting.tables import cell, markdown_row, markdown_table
from lamol_core.text.template import ANS


def model_card(figures: TaskFigures) -> str:
    """Return the card of the student after a task: Markdown with front matter for the Hugging Face
    hub.

    Scores are in percent; their average leaves out tasks whose test rows were forgotten."""
    known = [score for score in figures.scores.values() if score is not None]
    template = templates_of("lamol_core.reporting").get_template("model_card.md.j2")
    average = fmean(known) if known else None
    return template.render(
        figures=figures, average=average, cell=cell, ans=ANS, row=markdown_row, table=markdown_table
    )
