"""The report as one self-contained HTML page, which loads nothing from elsewhere.

Charts are inline SVG, complete without scripts. The page's only script draws them again, so that
they show values under the pointer. The page's security policy allows that script by its hash.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lamol_core.errors import ArtifactError
from lamol_core.reporting.comparison.finished_runs import flatten
from lamol_core.reporting.plots import MAX_NAMED_LINES, embed_script

_SVG_TAGS = {
    "svg", "g", "defs", "clipPath", "linearGradient", "stop",
    "path", "rect", "line", "circle", "text", "tspan", "title", "desc",
}  # fmt: skip
# A chart up to this many SVG units wide shrinks to the screen; a wider one scrolls instead.
_MAX_SHRINK_WIDTH = 640.0


def render_page(
    summary: Mapping[str, Any],
    charts_svg: Mapping[str, str],
    parameters: Mapping[str, Any],
    specs: Mapping[str, Mapping[str, Any]] | None = None,
    comparison: Mapping[str, Any] | None = None,
    script: str | None = None,
) -> str:
    """Return the page's HTML. Raises ArtifactError for a chart that is not plain SVG (scripts,
    links, style sheets).

    `summary` is what `build_summary` returns; `charts_svg` holds the SVG of each chart by name.
    `parameters` is any nested mapping; it is shown flattened. `specs` holds the charts'
    Vega-Lite by the same names, and `script` is what `page_script` returns; with both, charts show
    values under the pointer. `comparison` is what `comparison_section` returns; its chart is named
    "comparison"."""
    template = templates_of("lamol_core.reporting").get_template("report.html.j2")
    return template.render(
        summary=summary,
        charts={name: inline_svg(name, svg) for name, svg in charts_svg.items()},
        comparison=comparison,
        parameters={
            name: value if isinstance(value, str) else json.dumps(value, default=str)
            for name, value in flatten(parameters).items()
        },
        specs={name: inline_json(spec) for name, spec in (specs or {}).items()},
        script=None if script is None else Markup(script),
        script_hash=None if script is None else policy_hash(script),
        duration=duration,
        max_named_lines=MAX_NAMED_LINES,
    )


def page_script(kept: Path) -> str:
    """Return the page's script. It is kept in a folder, because making it takes seconds."""
    return embed_script(source_of(templates_of("lamol_core.reporting"), "report.js"), kept)


def templates_of(*packages: str) -> Environment:
    """Return the templates of several packages. Of templates with the same name, the first
    package's is used."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source_of(templates: Environment, name: str) -> str:
    """Return the text of a style sheet or script among the templates."""
    assert templates.loader is not None
    return templates.loader.get_source(templates, name)[0]


def inline_json(content: object) -> Markup:
    """Return JSON for a script element, escaped so that no tag can begin in it."""
    return Markup(json.dumps(content).replace("<", "\\u003c"))


def policy_hash(script: str) -> str:
    """Return the hash by which a Content-Security-Policy allows an inline script."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def duration(seconds: float) -> str:
    """Return seconds as text, like "0.4 s", "12 s", "4 min", "4 min 20 s" or "1 h 12 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def inline_svg(name: str, svg: str) -> Markup:
    """Return a chart as HTML for the page. Raises ArtifactError where it holds more than shapes
    and text."""
    svg = svg[max(svg.find("<svg"), 0) :]
    root = _parse_plain_svg(svg)
    if root is None:
        raise ArtifactError(
            f"chart '{name}' is not plain SVG (shapes and text, no scripts, links or styles). "
            "Draw it with lamol_core.reporting.plots."
        )
    kind = "chart wide" if float(root.get("width", 0)) > _MAX_SHRINK_WIDTH else "chart"
    frame = Markup('<div class="{}" id="chart-{}" tabindex="0">{}</div>')
    return frame.format(kind, name, Markup(svg))


def _parse_plain_svg(svg: str) -> ElementTree.Element | None:
    """Return the SVG's root; None where it holds more than shapes and text, or is not XML."""
    if "<!" in svg or "<?" in svg:  # XML and HTML read these differently
        return None
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        if element.tag.rpartition("}")[2] not in _SVG_TAGS:
            return None
        for key, value in element.attrib.items():
            links = key.endswith("href") or re.search(r"url\((?!['\"]?#)", value)
            if links or key.startswith("on"):
                return None
    return root
