"""`lamol snapshot T`: the student as it was before the task is frozen as its teacher."""

from __future__ import annotations

from stages.runtime import DebugOption, SetOption, TaskArgument, guarded, open_params, run_alone


@guarded
def snapshot(task: TaskArgument, overrides: SetOption = None, debug: DebugOption = False) -> None:
    """Freeze the predecessor's student as runs/TASK/teacher (links, no second copy).

    Example: lamol snapshot travel
    """
    from lamol_core.artifacts.atomic import atomic_path, link_tree
    from lamol_core.artifacts.kinds import CHECKPOINT
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.manifest import check_folder
    from lamol_core.config.blocks import BASE
    from stages.console import say

    layout = Layout()
    after = open_params(overrides).task(task).after
    student, teacher = layout.student(after), layout.teacher(task)
    stage = "backbone" if after == BASE else f"train@{after}"
    check_folder(student, CHECKPOINT, f"Run `dvc repro {stage}` first.")
    with atomic_path(teacher) as scratch:
        link_tree(student, scratch)
    say(f"snapshot {task}: {student} -> {teacher}")


if __name__ == "__main__":
    run_alone(snapshot)
