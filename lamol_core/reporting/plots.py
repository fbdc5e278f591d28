"""Charts of a summary, and their SVG and PNG through vl-convert: no browser and no network."""

from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from lamol_core.evaluation.matrix import ScoreMatrix

Chart = alt.LayerChart | alt.FacetChart  # the second only in altair's annotations

# The page's style sheet replaces these two by its own ink and line colours, so that one SVG serves
# light and dark pages; on white they are what a saved file shows.
INK = "#57606a"
LINE = "#d8dee4"

FONT = "Helvetica, Arial, sans-serif"
_HEAT_SCALE = alt.Scale(
    domain=[0, 35, 70, 100], range=["#f4efe4", "#b5d3cb", "#3f8f8f", "#0e4a58"], clamp=True
)
_WHITE_TEXT_FROM = 55  # percent: above it the cell is dark enough for white digits
_LINE_COLOURS = [  # Okabe and Ito's, without black and yellow: told apart on white and on black
    "#2f7fc1", "#d55e00", "#009e73", "#c871a5", "#c98d00", "#56a8dd", "#8a72d6", "#8b8f94",
]  # fmt: skip
MAX_NAMED_LINES = len(_LINE_COLOURS)
_RANK_COLOUR = alt.Color(  # too many tasks to name: from the oldest (violet) to the newest (orange)
    "rank:Q",
    scale=alt.Scale(range=["#8a72d6", "#2f7fc1", "#009e73", "#c98d00", "#d55e00"]),
    legend=None,
)
_WORSE, _BETTER = "#c9622b", "#2f8f80"


def score_matrix_chart(summary: dict[str, Any]) -> Chart:
    """Heat map of R[i][j] in percent with the numbers in the cells: row i "after learning",
    column j "score on". Takes a summary or one of its chains."""
    matrix = _matrix(summary)
    num_tasks = len(matrix.tasks)
    step = max(22.0, min(58.0, 620 / num_tasks))
    decimals = 1 if step >= 34 else 0
    cells = [
        {"after": after, "on": on, "score": score, "label": f"{score:.{decimals}f}"}
        for after, row in zip(matrix.tasks, matrix.rows, strict=True)
        for on, score in zip(matrix.tasks, row, strict=False)
        if score is not None
    ]
    base = alt.Chart(alt.Data(values=cells)).encode(
        tooltip=[
            alt.Tooltip("after:N", title="after learning"),
            alt.Tooltip("on:N", title="score on"),
            alt.Tooltip("score:Q", title="score, %", format=".2f"),
        ],
        x=alt.X("on:N", title="score on", sort=list(matrix.tasks), axis=_task_axis(matrix, "top")),
        y=alt.Y(
            "after:N", title="after learning", sort=list(matrix.tasks), axis=_task_axis(matrix)
        ),
    )
    squares = base.mark_rect(cornerRadius=3).encode(
        color=alt.Color("score:Q", scale=_HEAT_SCALE, legend=None)
    )
    digits = base.mark_text(fontSize=min(14.0, step * 0.42)).encode(
        text="label:N",
        color=alt.condition(
            f"datum.score >= {_WHITE_TEXT_FROM}", alt.value("#ffffff"), alt.value("#1b2a30")
        ),
    )
    chart = alt.layer(squares, digits).properties(
        width=alt.Step(step), height=alt.Step(min(step, 40.0))
    )
    return chart.configure_scale(bandPaddingInner=0.05, bandPaddingOuter=0.02)


def accuracy_chart(summary: dict[str, Any]) -> Chart:
    """Score on each task in percent over the tasks learnt, a line a task from where it was learnt;
    dashed: the mean over the tasks learnt so far."""
    matrix = _matrix(summary)
    tasks = list(matrix.tasks)
    points = [
        {"after": after, "task": task, "rank": rank, "score": score}
        for after, row in zip(tasks, matrix.rows, strict=True)
        for rank, (task, score) in enumerate(zip(tasks, row, strict=False))
        if score is not None
    ]
    named = len(tasks) <= MAX_NAMED_LINES
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X(
            "after:N",
            title="after learning",
            sort=tasks,
            scale=alt.Scale(type="point", padding=0.4),
            axis=_task_axis(matrix, "bottom"),
        ),
        y=alt.Y("score:Q", title="score, %", scale=alt.Scale(domain=[0, 100])),
    )
    lines = base.mark_line(
        strokeWidth=2.2 if named else 1.2,
        point=alt.OverlayMarkDef(size=42 if named else 14, filled=True),
        opacity=1.0 if named else 0.75,
    ).encode(
        color=line_colour(tasks),
        detail="task:N",
        tooltip=[
            alt.Tooltip("task:N"),
            alt.Tooltip("after:N", title="after learning"),
            alt.Tooltip("score:Q", title="score, %", format=".2f"),
        ],
    )
    mean = base.mark_line(strokeDash=[5, 4], strokeWidth=1.6, color=INK).encode(y="mean(score):Q")
    width = max(420, 22 * len(tasks))
    return alt.layer(mean, lines).properties(width=width, height=260)


def forgetting_chart(summary: dict[str, Any]) -> Chart | None:
    """Points lost per task since its best score, a bar a task; None for one task (not defined)."""
    matrix = _matrix(summary)
    lost = matrix.forgetting_by_task()
    if not lost:
        return None
    low, high = min(0.0, *lost.values()), max(0.0, *lost.values())
    room = max(0.14 * (high - low), 0.5)  # for the numbers beside the bars
    bars = [
        {"task": task, "points": points, "label": f"{points:+.1f}"} for task, points in lost.items()
    ]
    base = alt.Chart(alt.Data(values=bars)).encode(
        x=alt.X(
            "points:Q",
            title="points lost since its best score",
            scale=alt.Scale(domain=[low - room if low < 0 else 0, high + room], nice=False),
        ),
        y=alt.Y("task:N", title=None, sort=list(lost), axis=_task_axis(matrix)),
    )
    shape = base.mark_bar(cornerRadius=2).encode(
        color=alt.condition("datum.points > 0", alt.value(_WORSE), alt.value(_BETTER))
    )
    right = base.mark_text(align="left", dx=5, color=INK, fontSize=12).encode(text="label:N")
    left = base.mark_text(align="right", dx=-5, color=INK, fontSize=12).encode(text="label:N")
    chart = alt.layer(
        shape,
        right.transform_filter("datum.points >= 0"),
        left.transform_filter("datum.points < 0"),
    )
    step = alt.Step(26 if len(lost) <= 12 else 20)
    return chart.properties(width=420, height=step).configure_scale(bandPaddingInner=0.3)


def loss_chart(curves: dict[str, list[dict[str, float]]]) -> Chart | None:
    """Loss terms over the steps, a panel a task; None where no task has a curve."""
    points = [
        {"task": task, "step": point["step"], "term": term.replace("_", " "), "value": value}
        for task, curve in curves.items()
        for point in curve
        for term, value in point.items()
        if term != "step"
    ]
    if not points:
        return None
    terms = list(dict.fromkeys(str(point["term"]) for point in points))
    legend = alt.Legend(title=None, orient="top", columns=4, symbolType="stroke")
    scale = alt.Scale(domain=terms, range=_LINE_COLOURS[: len(terms)])
    lines = (
        alt.Chart()
        .mark_line(strokeWidth=1.6, interpolate="monotone")
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y("value:Q", title="loss"),
            color=alt.Color("term:N", sort=terms, scale=scale, legend=legend),
            tooltip=[
                alt.Tooltip("task:N"),
                alt.Tooltip("step:Q", format=".0f"),
                alt.Tooltip("term:N"),
                alt.Tooltip("value:Q", format=".3f"),
            ],
        )
        .properties(width=170, height=110)
    )
    return lines.facet(
        facet=alt.Facet("task:N", sort=list(curves), title=None), columns=3,
        data=alt.Data(values=points),
    ).resolve_scale(x="independent")  # fmt: skip


def chart_specs(
    summary: dict[str, Any], curves: dict[str, list[dict[str, float]]]
) -> dict[str, dict[str, Any]]:
    """The Vega-Lite of every chart that there are figures for, by name: "score_matrix",
    "accuracy", for two tasks and more "forgetting", and "loss"."""
    charts: dict[str, Chart | None] = {
        "score_matrix": score_matrix_chart(summary),
        "accuracy": accuracy_chart(summary),
        "forgetting": forgetting_chart(summary),
        "loss": loss_chart(curves),
    }
    return {name: chart_spec(chart) for name, chart in charts.items() if chart is not None}


def spec_to_svg(spec: dict[str, Any]) -> str:
    return vl_convert.vegalite_to_svg(spec, vl_version=_vl_version(), allowed_base_urls=[])


def embed_script(snippet: str) -> str:
    """A script that holds Vega, Vega-Lite and Vega-Embed, and runs `snippet` with `vegaEmbed`."""
    bundle = vl_convert.javascript_bundle(snippet, vl_version=_vl_version())
    return bundle.replace("</script", "<\\/script")


def to_svg(chart: Chart, background: str = "transparent") -> str:
    """The chart as SVG text."""
    return spec_to_svg(chart_spec(chart, background))


def save_svg(chart: Chart, path: Path) -> None:
    """Writes the chart on white as SVG; the caller makes it atomic by passing a scratch path."""
    path.write_text(to_svg(chart, "white"), encoding="utf-8")


def _matrix(summary: dict[str, Any]) -> ScoreMatrix:
    rows = tuple(tuple(row) for row in summary["score_matrix"])
    return ScoreMatrix(tuple(summary["tasks"]), rows)


def line_colour(tasks: list[str]) -> alt.Color:
    """A colour a task, by the field "task"; too many to name have theirs by the field "rank"."""
    if len(tasks) > MAX_NAMED_LINES:
        return _RANK_COLOUR
    scale = alt.Scale(domain=tasks, range=_LINE_COLOURS[: len(tasks)])
    legend = alt.Legend(
        title=None, orient="top", columns=4, symbolType="stroke", symbolStrokeWidth=3
    )
    return alt.Color("task:N", sort=tasks, scale=scale, legend=legend)


def _task_axis(matrix: ScoreMatrix, orient: Any = "left") -> alt.Axis:
    """An axis of task names: upright where a few short ones fit, else slanted or turned."""
    longest = max(len(task) for task in matrix.tasks)
    axis: dict[str, Any] = {"labelLimit": 130, "ticks": False, "domain": False, "labelPadding": 6}
    if orient == "left":
        return alt.Axis(orient="left", labelOverlap=False, **axis)
    angle = -45 if len(matrix.tasks) <= 16 else -90
    if len(matrix.tasks) <= 6 and longest <= 9:
        angle = 0
    align: Any = "center"
    if angle:
        align = "left" if orient == "top" else "right"
    return alt.Axis(
        orient=orient,
        labelOverlap=False,
        labelAngle=angle,
        labelAlign=align,
        labelBaseline="middle" if angle == -90 else ("bottom" if orient == "top" else "top"),
        **axis,
    )


def chart_spec(chart: Chart, background: str = "transparent") -> dict[str, Any]:
    """The Vega-Lite of one chart, in the fonts and colours of a page."""
    spec: dict[str, Any] = chart.to_dict()
    ink = {"labelColor": INK, "titleColor": INK, "labelFont": FONT, "titleFont": FONT}
    text = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    lines = {"gridColor": LINE, "domainColor": LINE, "tickColor": LINE}
    spec["config"] = {
        **spec.get("config", {}),
        "background": background,
        "padding": 14,  # a viewer's font may be wider than the one vl-convert measured with
        "font": FONT,
        "view": {"stroke": None},
        "axis": {**ink, **text, **lines, "titlePadding": 14},
        "legend": {**ink, **text},
    }
    return spec


def _vl_version() -> str:
    """The Vega-Lite release that this altair writes, as vl-convert names it, like "6.1"."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
