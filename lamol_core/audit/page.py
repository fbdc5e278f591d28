"""The audit as one self-contained page: verdicts, figures beside limits, and every sample.

What a model wrote is never markup: it travels as JSON, is put in as text, and control characters
(terminal codes, marks that turn the direction of writing) are shown by their code points.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from markupsafe import Markup

from lamol_core.audit.samples import Judgement, reasons_by_row, shown_nll
from lamol_core.audit.spec import Audited, Neighbour, SampledTask, number, with_interval
from lamol_core.audit.verdicts import Audit
from lamol_core.records import PseudoSample
from lamol_core.reporting.page import inline_json, inline_svg, policy_hash, source_of, templates_of
from lamol_core.reporting.plots import INK, line_colour, to_svg
from lamol_core.text.display import visible
from lamol_core.text.normalise import WORD, normalise, words_of

FADING_FIGURES = (
    "drift_auc",
    "unknown_label_share",
    "label_variation_excess",
    "copied_excess_mean",
    "overlap_excess_mean",
    "distinct_2_ratio",
)
"""The others are drawn on the page, where they are asked for."""
BY_LABEL = "drift_auc_"
MOST_TICKS = 8


def render_audit(
    audit: Audit, content: Mapping[str, Any], audited: Audited, show_real_rows: bool
) -> str:
    """The page's HTML; `content` is that of audit.json."""
    templates = templates_of("lamol_core.audit", "lamol_core.reporting")
    style = Markup(source_of(templates, "page.css") + source_of(templates, "audit.css"))
    script = Markup(source_of(templates, "audit.js"))
    fading = content["fading"]
    chart = fading_chart(fading)
    others = fading_chart(fading, other_figures(fading))
    return templates.get_template("audit.html.j2").render(
        audit=content,
        checks=[_check(name, told) for name, told in content["checks"].items()],
        notes=[
            *audit.notes,
            *(note for told in content["checks"].values() for note in told["notes"]),
        ],
        chart=inline_svg("fading", to_svg(chart)) if chart else None,
        other_charts=inline_svg("others", to_svg(others)) if others else None,
        real_rows=show_real_rows,
        rows=inline_json(_rows(audit, audited, show_real_rows)),
        style=style,
        style_hash=policy_hash(style),
        script=script,
        script_hash=policy_hash(script),
    )


def other_figures(fading: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of all figures but FADING_FIGURES and those of single labels."""
    names = dict.fromkeys(name for entry in fading for name in entry)
    told = {"for", "task", "age", *FADING_FIGURES}
    return [name for name in names if name not in told and not name.startswith(BY_LABEL)]


def fading_chart(
    fading: Sequence[Mapping[str, Any]], figures: Sequence[str] = FADING_FIGURES
) -> alt.FacetChart | None:
    """Figures of each task over its age, a panel a figure, a line a task (of many, coloured from
    the oldest to the newest); dashed: the mean of the tasks of that age. None for one age."""
    tasks = list(dict.fromkeys(entry["task"] for entry in fading))
    points = [
        {
            "task": entry["task"],
            "rank": tasks.index(entry["task"]),
            "age": entry["age"],
            "figure": figure,
            "value": entry[figure],
        }
        for entry in fading
        for figure in figures
        if entry.get(figure) is not None
    ]
    ages = sorted({point["age"] for point in points})
    if len(ages) < 2:
        return None
    known = [name for name in figures if any(p["figure"] == name for p in points)]
    ticks = ages[:: -(-len(ages) // MOST_TICKS)]
    base = alt.Chart().encode(
        x=alt.X("age:Q", title="tasks learnt since", axis=alt.Axis(values=ticks, format="d")),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
    )
    # of all the others lines alone: points are most of a picture's bytes
    lines = base.mark_line(point=figures is FADING_FIGURES, opacity=0.75).encode(
        color=line_colour(tasks), detail="task:N"
    )
    mean = base.mark_line(strokeDash=[5, 4], strokeWidth=1.6, color=INK).encode(y="mean(value):Q")
    chart: alt.FacetChart = alt.layer(mean, lines).properties(width=260, height=150).facet(
        facet=alt.Facet("figure:N", sort=known, title=None, header=alt.Header(labelColor=INK)),
        columns=2,
        data=alt.Data(values=points),
    ).resolve_scale(y="independent")  # fmt: skip
    return chart


def _check(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    scopes = {"": told["figures"], **told["by_task"]}
    names = dict.fromkeys(figure for figures in scopes.values() for figure in figures)
    return {
        **told,
        "name": name,
        # of single tasks those alone that are beyond a limit: "All figures" has the rest
        "judged": [
            {**one, "value": with_interval(one["figure"], scopes[one["task"]])}
            for one in told["judged"]
            if not one["task"] or one["verdict"] != "pass"
        ],
        "tasks": list(told["by_task"]),
        "table": [
            [figure, *(number(figures.get(figure)) for figures in scopes.values())]
            for figure in names
        ],
    }


def _rows(audit: Audit, audited: Audited, show_real_rows: bool) -> list[list[Any]]:
    """Every sample in the order of audit.js: FIELDS."""
    reasons = reasons_by_row((flag.row_id, flag.reason) for flag in audit.flags)
    judgement = Judgement(reasons, audit.judged_tasks, set(audit.unjudged_rows))
    neighbours = {k: n for finding in audit.findings for k, n in finding.neighbours.items()}
    real: dict[str, str] = {}
    if show_real_rows:
        real = {row.row_id: task.text(row) for task in audited.tasks for row in task.train}
    rows = []
    for task in audited.tasks:
        for sample in task.drawn:
            near = neighbours.get(sample.row_id)
            start, stop, run = _span(task, sample, near)
            text, *marked = visible_within(sample.input, start, stop)
            named = (near.real_row_id, near.span_row_id) if near else ("", "")
            texts = [real.get(row, "") for row in named]
            rows.append(
                [
                    sample.row_id,
                    task.name,
                    text,
                    visible(sample.target),
                    judgement.verdict(sample),
                    judgement.reasons_of(sample),
                    *named,
                    *(visible_within(raw, *_place(raw, run)) for raw in texts),
                    round(near.similarity, 3) if near else 0,
                    shown_nll(sample),
                    *marked,
                ]
            )
    return rows


def visible_within(text: str, start: int, stop: int) -> tuple[str, int, int]:
    """`visible` of a text, and where the part from `start` to `stop` stands in it as JavaScript
    counts: in UTF-16, where an emoji is two."""
    before, part = visible(text[:start]), visible(text[start:stop])
    first = len(before.encode("utf-16-le")) // 2
    return before + part + visible(text[stop:]), first, first + len(part.encode("utf-16-le")) // 2


def _span(
    task: SampledTask, sample: PseudoSample, near: Neighbour | None
) -> tuple[int, int, list[str]]:
    """Where the shared run of words stands in the sample's input, and the run; (0, 0) where it
    cannot be told because normalising changed the words."""
    if near is None or not near.span_words:
        return 0, 0, []
    raw = task.text(sample)
    run = words_of(normalise(raw))[near.span_start : near.span_start + near.span_words]
    start, stop = _place(raw, run, near.span_start)
    return min(start, len(sample.input)), min(stop, len(sample.input)), run


def _place(raw: str, run: Sequence[str], first: int | None = None) -> tuple[int, int]:
    """Where a run of normalised words stands in a text, from its word `first` on or wherever;
    (0, 0) where it cannot be told."""
    words, places = words_of(normalise(raw)), [match.span() for match in WORD.finditer(raw)]
    starts = range(len(words) - len(run) + 1) if first is None else (first,)
    at = next((i for i in starts if words[i : i + len(run)] == list(run)), None)
    if not run or at is None or len(places) != len(words):
        return 0, 0
    return places[at][0], places[at + len(run) - 1][1]
