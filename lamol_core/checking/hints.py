"""What is allowed, and does nothing or lies about unused."""

from __future__ import annotations

from pathlib import Path

from lamol_core.config import BASE, Params
from lamol_core.methods.rehearsal import find_sampling
from lamol_core.storage.layout import Layout


def find_hints(params: Params) -> list[str]:
    """What is allowed and does nothing, a sentence each."""
    generate = params.generate
    chooses = generate.known_labels or generate.draws_per_row > 1 or generate.carry_over
    if find_sampling(params) is not None and generate.balance_labels and not chooses:
        return [
            "generate.balance_labels has nothing to choose from: set generate.known_labels, or "
            "generate.draws_per_row above 1."
        ]
    return []


def find_leftovers(params: Params, root: Path) -> list[str]:
    """Tasks that params.yaml does not have any more and whose folders are still there, a sentence
    each: a task that was renamed or taken out leaves its rows and its model."""
    layout = Layout(root)
    known = {BASE, *params.tasks}
    found: dict[str, list[str]] = {}
    for above in (layout.all_data, layout.all_runs):
        for folder in sorted(above.iterdir()) if above.is_dir() else []:
            if folder.is_dir() and folder.name not in known and not folder.name.startswith("."):
                found.setdefault(folder.name, []).append(str(folder))
    return [
        f"params.yaml has no task {name!r} any more; delete {' and '.join(folders)} if its rows "
        "and its model are not wanted."
        for name, folders in found.items()
    ]
