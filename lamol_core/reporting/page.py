"""The report as one self-contained HTML page: nothing comes from outside.

Charts are inline SVG, complete without scripts. The one script the page has, named by its hash in
the page's security policy, draws them again so that they answer to a pointer.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lamol_core.errors import ArtifactError
from lamol_core.evaluation.matrix import SCORES_NOTE
from lamol_core.reporting.comparison.finished_runs import flatten
from lamol_core.reporting.plots import MAX_NAMED_LINES, embed_script
from lamol_core.reporting.summary import HIGH_REJECTED_SHARE, poor_share

# One sentence a figure, in the order in which the page shows them.
HEADLINES = {
    "final_average": (
        "Final average",
        "Mean score over all tasks after the last one was learnt; higher is better.",
    ),
    "incremental_average": (
        "Incremental average",
        "Mean, over the moments after each task, of the mean score on the tasks learnt by then.",
    ),
    "forgetting": (
        "Forgetting",
        "Points that an earlier task has lost since its best score, on average; lower is better.",
    ),
    "backward_transfer": (
        "Backward transfer",
        "Change in an earlier task's score since it was learnt, on average; below 0 is loss.",
    ),
    "seconds": ("Time", "Wall time of sampling, audits, training and evaluation."),
    "peak_memory_bytes": ("Peak memory", "The most memory that any one task's stages used."),
    "kept_bytes": (
        "Kept of old tasks",
        "What the method has besides the model after the last task: real rows, numbers, or "
        "rows that a model wrote and that are carried over.",
    ),
}
_UNITS = {
    "final_average": "%",
    "incremental_average": "%",
    "forgetting": "points",
    "backward_transfer": "points",
}
_STAGES = ("generate", "audit", "train", "evaluate")
_SVG_TAGS = {
    "svg", "g", "defs", "clipPath", "linearGradient", "stop",
    "path", "rect", "line", "circle", "text", "tspan", "title", "desc",
}  # fmt: skip
_WIDTH = re.compile(r'<svg\b[^>]*?\swidth="([0-9.]+)')
# Up to this many SVG units a chart shrinks to the screen; a wider one scrolls, to stay readable.
_MAX_SHRINK_WIDTH = 640.0


@dataclass(frozen=True)
class ComparisonTable:
    """Methods side by side as text: a title a column, a row a method, and what may be claimed."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    sentences: Sequence[str]


def render_page(
    summary: Mapping[str, Any],
    charts_svg: Mapping[str, str],
    parameters: Mapping[str, Any],
    specs: Mapping[str, Mapping[str, Any]] | None = None,
    comparison: ComparisonTable | None = None,
) -> str:
    """The page's HTML. `summary` is as `build_summary` gives it, `charts_svg` each chart
    as `spec_to_svg` draws it; `parameters` is any nested mapping, shown flattened. With
    `specs`, the charts' Vega-Lite by the same names, they show values under the pointer.
    `comparison` sets this run beside others; its chart is "comparison".
    Raises ArtifactError for a chart that is not plain SVG (scripts, links, style sheets)."""
    pseudo = _pseudo_rows(summary)
    templates = templates_of("lamol_core.reporting")
    script = Markup(embed_script(source_of(templates, "report.js"))) if specs else None
    return templates.get_template("report.html.j2").render(
        summary=summary,
        headlines=_headlines(summary),
        note=SCORES_NOTE,
        max_named_lines=MAX_NAMED_LINES,
        charts={name: inline_svg(name, svg) for name, svg in charts_svg.items()},
        stages=_stage_rows(summary),
        pseudo=pseudo,
        carried=any(row["carried"] for row in pseudo),
        surplus=any(row["surplus"] for row in pseudo),
        chains=_chain_rows(summary),
        comparison=comparison,
        parameters=[
            (name, value if isinstance(value, str) else json.dumps(value, default=str))
            for name, value in flatten(parameters).items()
        ],
        machine=_machine_rows(summary["machines"]),
        specs={name: inline_json(spec) for name, spec in (specs or {}).items()},
        script=script,
        script_hash=None if script is None else policy_hash(script),
    )


def templates_of(*packages: str) -> Environment:
    """The templates of some packages, the first that has one of a name first."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source_of(templates: Environment, name: str) -> str:
    """A style sheet or a script that stands among the templates."""
    assert templates.loader is not None
    return templates.loader.get_source(templates, name)[0]


def _machine_rows(machines: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Of several machines each line has a number."""
    if len(machines) == 1:
        return list(machines[0].items())
    return [
        (f"{place}. {name}", value)
        for place, machine in enumerate(machines, start=1)
        for name, value in machine.items()
    ] or [("machine", "not noted by the version of lamol that trained")]


def inline_json(content: object) -> Markup:
    """JSON that may stand in a script element: no tag can begin in it."""
    return Markup(json.dumps(content).replace("<", "\\u003c"))


def policy_hash(script: str) -> str:
    """How a Content-Security-Policy names an inline script that may run."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def duration(seconds: float) -> str:
    """Seconds in words: "0.4 s", "12 s", "4 min", "4 min 20 s", "1 h 12 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _headlines(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"title": title, "explanation": explanation, **_headline_value(name, summary[name])}
        for name, (title, explanation) in HEADLINES.items()
    ]


def _headline_value(name: str, value: float | None) -> dict[str, str]:
    if value is None:
        return {"value": "not defined", "unit": ""}
    if name == "seconds":
        return {"value": duration(value), "unit": ""}
    if name == "kept_bytes":
        return {"value": f"{value / 1e6:.1f}", "unit": "MB"}
    if name == "peak_memory_bytes":
        return {"value": f"{value / 1e9:.2f}", "unit": "GB"}
    return {"value": f"{value:.1f}".replace("-", "\N{MINUS SIGN}"), "unit": _UNITS[name]}


def inline_svg(name: str, svg: str) -> Markup:
    """The SVG, checked to be nothing but shapes and text, so that it may stand in the page."""
    start = max(svg.find("<svg"), 0)
    if not _is_plain_svg(svg[start:]):
        raise ArtifactError(
            f"chart '{name}' is not plain SVG (shapes and text, no scripts, links or styles). "
            "Draw it with lamol_core.reporting.plots."
        )
    width = _WIDTH.search(svg)
    wide = width is not None and float(width.group(1)) > _MAX_SHRINK_WIDTH
    kind = "chart wide" if wide else "chart"
    opening = Markup('<div class="{}" id="chart-{}" tabindex="0">').format(kind, name)
    return opening + Markup(svg[start:]) + Markup("</div>")


def _is_plain_svg(svg: str) -> bool:
    if "<!" in svg or "<?" in svg:  # read one way as XML and another way as HTML
        return False
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError:
        return False
    local_names = (element.tag.rpartition("}")[2] for element in root.iter())
    attributes = [pair for element in root.iter() for pair in element.attrib.items()]
    return all(name in _SVG_TAGS for name in local_names) and not any(
        key.startswith("on") or key.endswith("href") or re.search(r"url\((?!['\"]?#)", value)
        for key, value in attributes
    )


def _stage_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The stages that were timed, in pipeline order."""
    timed, total = summary["seconds_by_stage"], summary["seconds"] or 1.0
    return [
        {
            "stage": stage,
            "total": duration(timed[stage]),
            "percent": 100 * timed[stage] / total,
            "by_task": [
                duration(seconds[stage]) if stage in seconds else ""
                for seconds in summary["seconds_by_task"].values()
            ],
        }
        for stage in _STAGES
        if stage in timed
    ]


PSEUDO_COLUMNS = ("valid", "carried", "rejected", "surplus")


def _pseudo_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for task, counts in summary["pseudo"].items():
        share = poor_share(counts)
        is_used = counts.get("valid", 0) + counts.get("carried", 0) > 0
        rows.append(
            {
                "task": task,
                **{key: counts.get(key, 0) for key in PSEUDO_COLUMNS},
                "poor_percent": None if share is None else 100 * share,
                "high": share is not None and share > HIGH_REJECTED_SHARE,
                "audit": summary.get("audits", {}).get(task) if is_used else None,
            }
        )
    return rows


def _chain_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a chain where the tasks form a tree; nothing for a plain sequence."""
    chains = summary["chains"]
    if len(chains) < 2:
        return []
    names = [name for name in HEADLINES if name in _UNITS]
    return [
        {
            "tasks": chain["tasks"],
            "shown": chain["tasks"] == summary["tasks"],
            "values": [_headline_value(name, chain[name])["value"] for name in names],
        }
        for chain in chains
    ]
