"""Finds limits that may stop a training, and folders that no task uses any more."""

from pathlib import Path

from lamol_core.artifacts.layout import OF_EXPERT, Layout
from lamol_core.artifacts.spec import STAGES
from lamol_core.config.task_names import BASE
from lamol_core.data.task_data import LINEAGE
from lamol_core.parameters import Params
from lamol_core.pipeline.git import rows_in_git
from lamol_core.text.template import NUM_CONTROL

OF_A_RUN = {Path(artifact.path).name for stage in STAGES.values() for artifact in stage.writes
            if artifact.path.startswith("runs/")}  # fmt: skip
"""The names of what stages write into `runs/T`. A folder without any of them is not a stage's."""


def target_length_hints(params: Params, num_around: int = NUM_CONTROL["gen"]) -> list[str]:
    """Return a sentence where pseudo-samples may have targets too long for a training.
    `num_around`: how many tokens stand around the texts of a row."""
    draws = params.chosen.rehearses and params.generate.draws
    if not draws or all(task.after == BASE for task in params.tasks.values()):
        return []
    # targets are never cut, so the longest one that a teacher may write must fit
    longest, keys = params.text.max_target_tokens, "max_target_tokens"
    if params.generate.format == "reject":  # all but one token of a free text can be its target
        longest += params.text.max_input_tokens - 1
        keys = "max_input_tokens and max_target_tokens"
    needed = longest + num_around + 1  # and a token of the input
    if params.text.max_length >= needed:
        return []
    return [
        f"Pseudo-samples may have targets of {longest} tokens (text.{keys}). Such a target does "
        f"not fit text.max_length = {params.text.max_length} and stops a training. Lower the "
        f"first, or raise text.max_length to {needed}."
    ]


def find_leftovers(params: Params, root: Path) -> list[str]:
    """Return a sentence for each task that is no longer in params.yaml, but whose rows or model
    are still on disk, for each page with real rows that no parameter asks for, and for real rows
    that Git holds."""
    layout = Layout(root)
    made = {layout.all_data: [LINEAGE], layout.all_runs: OF_A_RUN, layout.all_resumes: ["*"]}
    known = {BASE, *params.tasks}
    found: dict[str, list[str]] = {}
    for home, content in made.items():
        for folder in sorted(home.glob("[!.]*/")):
            name = folder.name.removesuffix(OF_EXPERT)
            if name not in known and any(any(folder.glob(pattern)) for pattern in content):
                found.setdefault(name, []).append(str(folder))
    pages = [] if params.audit.show_real_rows else layout.pages_with_real_rows
    notes = [f"{page} shows real rows. Delete it if you do not need it." for page in pages]
    notes += rows_in_git([layout.all_data, layout.private])
    return notes + [
        f"params.yaml has no task {name!r} any more. Delete {' and '.join(folders)} if you do not "
        "need them."
        for name, folders in found.items()
    ]
