"""The audit as one self-contained page: verdicts, figures beside limits, and every sample.

Text that a model wrote is never treated as markup: it is embedded as JSON and inserted as text.
Control characters (terminal codes, marks of writing direction) are shown by their code points.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from markupsafe import Markup

from lamol_core.audit.figures import number
from lamol_core.audit.samples import shown_nll
from lamol_core.audit.spec import Finding, Neighbour, SampledTask
from lamol_core.audit.verdicts import Audit
from lamol_core.records import PseudoSample, asked_text
from lamol_core.reporting.page import inline_json, inline_svg, policy_hash, source_of, templates_of
from lamol_core.reporting.plots import INK, line_colour, to_svg
from lamol_core.text.display import visible
from lamol_core.text.normalise import WORD, normalise, words_of

# charts of the other figures are folded away
FADING_FIGURES = (
    "drift_auc",
    "unknown_label_share",
    "label_variation_excess",
    "copied_excess_mean",
    "overlap_excess_mean",
    "distinct_2_ratio",
)
BY_LABEL = "drift_auc_"
MOST_TICKS = 8


def render_audit(audit: Audit, content: Mapping[str, Any], show_real_rows: bool) -> str:
    """Return the page's HTML. `content` is the content of audit.json; with `show_real_rows` the
    page shows the training rows nearest to the samples."""
    templates = templates_of("lamol_core.audit", "lamol_core.reporting")
    style = Markup(source_of(templates, "page.css") + source_of(templates, "audit.css"))
    script = Markup(source_of(templates, "audit.js"))
    fading, findings = content["fading"], audit.findings
    chart, others = fading_chart(fading), fading_chart(fading, other_figures(fading))
    return templates.get_template("audit.html.j2").render(
        audit=content,
        checks=[(finding, _table(finding)) for finding in findings],
        notes=[*audit.notes, *(note for finding in findings for note in finding.notes)],
        chart=inline_svg("fading", to_svg(chart)) if chart else None,
        other_charts=inline_svg("others", to_svg(others)) if others else None,
        real_rows=show_real_rows,
        shown=best_and_worst(audit),
        rows=inline_json(_rows(audit, show_real_rows)),
        style=style,
        script=script,
        policy_hash=policy_hash,
    )


def other_figures(fading: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all figures except FADING_FIGURES and the figures of single labels."""
    names = dict.fromkeys(name for entry in fading for name in entry)
    left_out = {"for", "task", "age", *FADING_FIGURES}
    return [name for name in names if name not in left_out and not name.startswith(BY_LABEL)]


def fading_chart(
    fading: Sequence[Mapping[str, Any]], figures: Sequence[str] = FADING_FIGURES
) -> alt.FacetChart | None:
    """Return a chart of figures over the number of tasks learnt since a task, with one panel for
    each figure and one line for each task. A dashed line is the mean over tasks; many tasks are
    coloured from oldest to newest. None with fewer than two points in time."""
    tasks = list(dict.fromkeys(entry["task"] for entry in fading))
    points: list[dict[str, Any]] = []
    for entry in fading:
        head = {"task": entry["task"], "rank": tasks.index(entry["task"]), "age": entry["age"]}
        known = {name: entry[name] for name in figures if entry.get(name) is not None}
        points += [{**head, "figure": name, "value": value} for name, value in known.items()]
    ages = sorted({point["age"] for point in points})
    if len(ages) < 2:
        return None
    present = {point["figure"] for point in points}
    shown = [name for name in figures if name in present]
    ticks = ages[:: -(-len(ages) // MOST_TICKS)]
    base = alt.Chart().encode(
        x=alt.X("age:Q", title="tasks learnt since", axis=alt.Axis(values=ticks, format="d")),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
    )
    # the others are drawn without points, which are most of a picture's bytes
    lines = base.mark_line(point=figures is FADING_FIGURES, opacity=0.75).encode(
        color=line_colour(tasks), detail="task:N"
    )
    mean = base.mark_line(strokeDash=[5, 4], strokeWidth=1.6, color=INK).encode(y="mean(value):Q")
    chart: alt.FacetChart = alt.layer(mean, lines).properties(width=260, height=150).facet(
        facet=alt.Facet("figure:N", sort=shown, title=None, header=alt.Header(labelColor=INK)),
        columns=2,
        data=alt.Data(values=points),
    ).resolve_scale(y="independent")  # fmt: skip
    return chart


def best_and_worst(audit: Audit) -> dict[str, list[tuple[float, str, str]]]:
    """Return up to five samples of each task, as probability of being right, input and target: the
    two best, the middle one and the two worst."""
    scores = {row: score for finding in audit.findings for row, score in finding.scores.items()}
    shown = {}
    for task in audit.audited.tasks:
        rated = sorted(
            (-scores[row.row_id], visible(asked_text(row)), visible(row.target))
            for row in task.kept
            if row.row_id in scores
        )
        places = sorted({0, 1, len(rated) // 2, len(rated) - 2, len(rated) - 1})
        chosen = [rated[place] for place in places if 0 <= place < len(rated)]
        shown[task.name] = [(-score, text, target) for score, text, target in chosen]
    return {task: rated for task, rated in shown.items() if rated}


def _table(finding: Finding) -> list[list[str]]:
    """Return a row for each figure: its name, its value for the whole table, its value for each
    task."""
    scopes = [finding.figures, *finding.by_task.values()]
    names = dict.fromkeys(name for figures in scopes for name in figures)
    return [[name, *(number(figures.get(name)) for figures in scopes)] for name in names]


def _rows(audit: Audit, show_real_rows: bool) -> list[list[Any]]:
    """Return every sample as a list of values, in the order of FIELDS in audit.js."""
    neighbours = {k: near for finding in audit.findings for k, near in finding.neighbours.items()}
    tasks = audit.audited.tasks
    real: dict[str, str] = {}
    if show_real_rows:
        real = {row.row_id: task.text(row) for task in tasks for row in task.train}
    rows, samples = [], [(task, sample) for task in tasks for sample in task.drawn]
    for task, sample in samples:
        near = neighbours.get(sample.row_id)
        start, stop, run = _shared_run(task, sample, near)
        text, *marked = visible_within(asked_text(sample), start, stop)
        real_ids = (near.real_row_id, near.span_row_id) if near else ("", "")
        real_texts = [real.get(row_id, "") for row_id in real_ids]
        verdict, reasons = audit.judgement.verdict(sample), audit.judgement.reasons_of(sample)
        head = (sample.row_id, task.name, text, visible(sample.target), verdict, reasons)
        marked_texts = [visible_within(raw, *_find_run(raw, run)) for raw in real_texts]
        similarity = round(near.similarity, 3) if near else 0
        tail = (similarity, shown_nll(sample), *marked)
        rows.append([*head, *real_ids, *marked_texts, *tail])
    return rows


def visible_within(text: str, start: int, stop: int) -> tuple[str, int, int]:
    """Return `visible` of a text, and the position in it of the part from `start` to `stop`. The
    position is in UTF-16 units, as JavaScript counts."""
    before, part = visible(text[:start]), visible(text[start:stop])
    first = len(before.encode("utf-16-le")) // 2
    return before + part + visible(text[stop:]), first, first + len(part.encode("utf-16-le")) // 2


def _shared_run(
    task: SampledTask, sample: PseudoSample, near: Neighbour | None
) -> tuple[int, int, list[str]]:
    """Return start and end of the shared run of words in all that the sample's target answers, and
    the run's words. Start and end are 0 where nothing is shared, or where the run is not found
    because normalising changed the words."""
    if near is None or not near.span_words:
        return 0, 0, []
    raw = task.text(sample)
    run = words_of(normalise(raw))[near.span_start : near.span_start + near.span_words]
    start, stop = _find_run(raw, run, near.span_start)
    shown = len(asked_text(sample))
    return min(start, shown), min(stop, shown), run


def _find_run(raw: str, run: Sequence[str], first: int | None = None) -> tuple[int, int]:
    """Return start and end of a run of normalised words in a text; (0, 0) where it is not found.
    The run is looked for at the word with index `first`, or anywhere if that is None."""
    words, spans = words_of(normalise(raw)), [match.span() for match in WORD.finditer(raw)]
    starts = range(len(words) - len(run) + 1) if first is None else (first,)
    at = next((i for i in starts if words[i : i + len(run)] == list(run)), None)
    if not run or at is None or len(spans) != len(words):
        return 0, 0
    return spans[at][0], spans[at + len(run) - 1][1]
