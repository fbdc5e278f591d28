"""A hook of mkdocs: README and the other documents at the top of the repository become pages of
the site, with the links that are right there.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "LICENSE": "license.md",
    "CITATION.cff": "citation.md",
}
"""Documents at the top, and their names on the site."""
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def on_files(files: Files, config: Any) -> Files:
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        content = LINK.sub(_on_site, text) if name.endswith(".md") else f"```text\n{text}```\n"
        files.append(File.generated(config, page, content=content))
    return files


def _on_site(link: re.Match[str]) -> str:
    target = link[1].removeprefix("docs/")
    return f"]({PAGES.get(target, target)}"
