"""Draws charts of a summary, and their SVG by vl-convert, which needs no browser and no network."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from lamol_core.artifacts.figures import write_text
from lamol_core.evaluation.matrix import ScoreMatrix

Chart = alt.LayerChart | alt.FacetChart  # FacetChart only because altair's annotations say so
Curves = Mapping[str, Sequence[Mapping[str, float]]]
"""Loss curves by task. A point of a curve has the step and the loss terms."""

# The page's style sheet replaces these two by its own ink and line colours, so that one SVG serves
# light and dark pages; on white they are what a saved file shows.
INK = "#57606a"
LINE = "#d8dee4"

FONT = "Helvetica, Arial, sans-serif"
_HEAT_SCALE = alt.Scale(
    domain=[0, 35, 70, 100], range=["#f4efe4", "#b5d3cb", "#3f8f8f", "#0e4a58"], clamp=True
)
_WHITE_TEXT_FROM = 55  # percent: from this score on, a cell is dark enough for white digits
_LINE_COLOURS = [  # Okabe and Ito's, without black and yellow: distinct on white and on black
    "#2f7fc1", "#d55e00", "#009e73", "#c871a5", "#c98d00", "#56a8dd", "#8a72d6", "#8b8f94",
]  # fmt: skip
MAX_NAMED_LINES = len(_LINE_COLOURS)
# too many tasks to name: from the oldest (violet) to the newest (orange)
_RANK_SCALE = alt.Scale(range=["#8a72d6", "#2f7fc1", "#009e73", "#c98d00", "#d55e00"])
_WORSE, _BETTER = "#c9622b", "#2f8f80"
_AFTER_TOOLTIP = alt.Tooltip("after:N", title="after learning")
_SCORE_TOOLTIP = alt.Tooltip("score:Q", title="score, %", format=".2f")


def score_matrix_chart(summary: Mapping[str, Any]) -> Chart:
    """Return a heat map of R[i][j] in percent, with the numbers in the cells: row i is "after
    learning", column j "score on". `summary` can also be one of a summary's chains."""
    matrix = ScoreMatrix.of(summary)
    tasks = list(matrix.tasks)
    step = max(22.0, min(58.0, 620 / len(tasks)))
    decimals = 1 if step >= 34 else 0
    cells = [{**cell, "label": f"{cell['score']:.{decimals}f}"} for cell in matrix.cells()]
    base = alt.Chart(alt.Data(values=cells)).encode(
        tooltip=[_AFTER_TOOLTIP, alt.Tooltip("task:N", title="score on"), _SCORE_TOOLTIP],
        x=alt.X("task:N", title="score on", sort=tasks, axis=_task_axis(tasks, "top")),
        y=alt.Y("after:N", title="after learning", sort=tasks, axis=_task_axis(tasks)),
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
    size = {"width": alt.Step(step), "height": alt.Step(min(step, 40.0))}
    layers = alt.layer(squares, digits).properties(**size)
    chart: Chart = layers.configure_scale(bandPaddingInner=0.05, bandPaddingOuter=0.02)
    return chart


def accuracy_chart(summary: Mapping[str, Any]) -> Chart:
    """Return the percent score on each task over the tasks learnt. Each line is one task,
    beginning where it was learnt; the dashed line is the mean over the tasks learnt so far."""
    matrix = ScoreMatrix.of(summary)
    tasks = list(matrix.tasks)
    is_named = len(tasks) <= MAX_NAMED_LINES
    points_scale = alt.Scale(type="point", padding=0.4)
    axis = _task_axis(tasks, "bottom")
    base = alt.Chart(alt.Data(values=matrix.cells())).encode(
        x=alt.X("after:N", title="after learning", sort=tasks, scale=points_scale, axis=axis),
        y=alt.Y("score:Q", title="score, %", scale=alt.Scale(domain=[0, 100])),
    )
    lines = base.mark_line(
        strokeWidth=2.2 if is_named else 1.2,
        point=alt.OverlayMarkDef(size=42 if is_named else 14, filled=True),
        opacity=1.0 if is_named else 0.75,
    ).encode(
        color=line_colour(tasks),
        detail="task:N",
        tooltip=["task:N", _AFTER_TOOLTIP, _SCORE_TOOLTIP],
    )
    mean = base.mark_line(strokeDash=[5, 4], strokeWidth=1.6, color=INK).encode(y="mean(score):Q")
    return alt.layer(mean, lines).properties(width=max(420, 22 * len(tasks)), height=260)


def forgetting_chart(summary: Mapping[str, Any]) -> Chart | None:
    """Return a bar for each task: the points lost since its best score. None for one task, where
    forgetting is not defined."""
    matrix = ScoreMatrix.of(summary)
    lost = matrix.forgetting_by_task()
    if not lost:
        return None
    low, high = min(0.0, *lost.values()), max(0.0, *lost.values())
    room = max(0.14 * (high - low), 0.5)  # for the numbers beside the bars
    scale = alt.Scale(domain=[low - room if low < 0 else 0, high + room], nice=False)
    bars = [
        {"task": task, "points": points, "label": f"{points:+.1f}"} for task, points in lost.items()
    ]
    base = alt.Chart(alt.Data(values=bars)).encode(
        x=alt.X("points:Q", title="points lost since its best score", scale=scale),
        y=alt.Y("task:N", title=None, sort=list(lost), axis=_task_axis(matrix.tasks)),
    )
    shape = base.mark_bar(cornerRadius=2).encode(
        color=alt.condition("datum.points > 0", alt.value(_WORSE), alt.value(_BETTER))
    )
    labels = base.encode(text="label:N")
    text: dict[str, Any] = {"color": INK, "fontSize": 12}
    right = labels.mark_text(align="left", dx=5, **text).transform_filter("datum.points >= 0")
    left = labels.mark_text(align="right", dx=-5, **text).transform_filter("datum.points < 0")
    step = alt.Step(26 if len(lost) <= 12 else 20)
    layered = alt.layer(shape, right, left).properties(width=420, height=step)
    chart: Chart = layered.configure_scale(bandPaddingInner=0.3)
    return chart


def loss_chart(curves: Curves) -> Chart | None:
    """Return the loss terms over the steps, one panel for each task; None where no task has a
    curve."""
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
    tooltips = ["task:N", alt.Tooltip("step:Q", format=".0f"), "term:N"]
    lines = alt.Chart(width=170, height=110).mark_line(strokeWidth=1.6, interpolate="monotone")
    encoded = lines.encode(
        x=alt.X("step:Q", title="step"),
        y=alt.Y("value:Q", title="loss"),
        color=_named_colour("term:N", terms),
        tooltip=[*tooltips, alt.Tooltip("value:Q", format=".3f")],
    )
    chart: Chart = encoded.facet(
        facet=alt.Facet("task:N", sort=list(curves), title=None), columns=3,
        data=alt.Data(values=points),
    ).resolve_scale(x="independent")  # fmt: skip
    return chart


def chart_specs(summary: Mapping[str, Any], curves: Curves) -> dict[str, dict[str, Any]]:
    """Return the Vega-Lite of every chart that has figures, by name: "score_matrix", "accuracy",
    "forgetting" (from two tasks on) and "loss"."""
    charts: dict[str, Chart | None] = {
        "score_matrix": score_matrix_chart(summary),
        "accuracy": accuracy_chart(summary),
        "forgetting": forgetting_chart(summary),
        "loss": loss_chart(curves),
    }
    return {name: chart_spec(chart) for name, chart in charts.items() if chart is not None}


def spec_to_svg(spec: dict[str, Any]) -> str:
    """Return the SVG of a chart that is given as Vega-Lite."""
    return vl_convert.vegalite_to_svg(spec, vl_version=_vl_version(), allowed_base_urls=[])


def embed_script(snippet: str, kept: Path) -> str:
    """Return a script that holds Vega, Vega-Lite and Vega-Embed, and runs `snippet` with
    `vegaEmbed`. Bundling takes seconds: the script is kept in the folder `kept`, for each snippet
    and version of vl-convert."""
    made_of = f"{version('vl-convert-python')} {_vl_version()} {snippet}"
    path = kept / f"{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.js"
    if not path.is_file():
        bundle = vl_convert.javascript_bundle(snippet, vl_version=_vl_version())
        write_text(path, bundle.replace("</script", "<\\/script"))
    return path.read_text(encoding="utf-8")


def to_svg(chart: Chart, background: str = "transparent") -> str:
    """Return the SVG of a chart."""
    return spec_to_svg(chart_spec(chart, background))


def line_colour(tasks: list[str]) -> alt.Color:
    """Return a colour for each task, by the field "task"; with more than MAX_NAMED_LINES tasks a
    colour scale from oldest to newest, by the field "rank"."""
    if len(tasks) > MAX_NAMED_LINES:
        return alt.Color("rank:Q", scale=_RANK_SCALE, legend=None)
    return _named_colour("task:N", tasks, symbolStrokeWidth=3)


def _named_colour(field: str, names: list[str], **symbols: Any) -> alt.Color:
    scale = alt.Scale(domain=names, range=_LINE_COLOURS[: len(names)])
    legend = alt.Legend(title=None, orient="top", columns=4, symbolType="stroke", **symbols)
    return alt.Color(field, sort=names, scale=scale, legend=legend)


def _task_axis(tasks: Sequence[str], orient: Any = "left") -> alt.Axis:
    """Return an axis of task names. Above or below a chart, a few short names are upright, names
    of up to 16 tasks are slanted, and those of more tasks are vertical."""
    labels: dict[str, Any] = {}
    if orient != "left":
        is_short = len(tasks) <= 6 and max(map(len, tasks)) <= 9
        angle = 0 if is_short else -45 if len(tasks) <= 16 else -90
        labels = {
            "labelAngle": angle,
            "labelAlign": "center" if is_short else "left" if orient == "top" else "right",
            "labelBaseline": "middle" if angle == -90 else "bottom" if orient == "top" else "top",
        }
    return alt.Axis(
        orient=orient, labelOverlap=False, labelLimit=130, labelPadding=6,
        ticks=False, domain=False, **labels,
    )  # fmt: skip


def chart_spec(chart: Chart, background: str = "transparent") -> dict[str, Any]:
    """Return the Vega-Lite of a chart, in the fonts and colours of a page."""
    spec: dict[str, Any] = chart.to_dict()
    text = {
        "labelColor": INK, "labelFont": FONT, "labelFontSize": 12,
        "titleColor": INK, "titleFont": FONT, "titleFontSize": 12, "titleFontWeight": "normal",
    }  # fmt: skip
    lines = {"gridColor": LINE, "domainColor": LINE, "tickColor": LINE, "titlePadding": 14}
    spec["config"] = {
        **spec.get("config", {}),
        "background": background,
        "padding": 14,  # a viewer's font may be wider than the one vl-convert measured with
        "font": FONT,
        "view": {"stroke": None},
        "axis": text | lines,
        "legend": text,
    }
    return spec


def _vl_version() -> str:
    """Return the Vega-Lite release that this altair writes, in vl-convert's form, like "6.1"."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
