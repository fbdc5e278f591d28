"""Settings that have no effect, and folders that no task uses any more."""

from __future__ import annotations

from pathlib import Path

from lamol_core.config import BASE, Params
from lamol_core.data.task_data import LINEAGE
from lamol_core.methods.rehearsal import find_sampling
from lamol_core.storage.layout import OF_EXPERT, Layout

OF_A_RUN = ("student", "teacher", "state", "audit", "pseudo.parquet", "mix.parquet", "metrics.json")
"""What stages write into `runs/T`: a folder with none of it is not theirs."""


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
    """Tasks that params.yaml does not have any more and that have left something, a sentence each:
    one that was renamed or taken out leaves its rows and its model."""
    layout = Layout(root)
    made = {layout.data: [LINEAGE], layout.run: OF_A_RUN, layout.resume: ["*"]}
    known = {BASE, *params.tasks}
    found: dict[str, list[str]] = {}
    for folder_of, content in made.items():
        for folder in sorted(folder_of("x").parent.glob("[!.]*/")):
            name = folder.name.removesuffix(OF_EXPERT)
            if name not in known and any(any(folder.glob(pattern)) for pattern in content):
                found.setdefault(name, []).append(str(folder))
    return [
        f"params.yaml has no task {name!r} any more; delete {' and '.join(folders)} if its rows "
        "and its model are not wanted."
        for name, folders in found.items()
    ]
