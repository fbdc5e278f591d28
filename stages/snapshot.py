"""`lamol snapshot T`: the student as it was before the task is frozen as its teacher."""

from stages.runtime import StageRun, run_alone, stage


@stage("snapshot")
def snapshot(run: StageRun) -> None:
    """Freeze the predecessor's student as runs/TASK/teacher (links, no second copy).

    Example: lamol snapshot travel
    """
    from lamol_core.artifacts.atomic import atomic_path, link_tree
    from lamol_core.artifacts.spec import STUDENT

    student, teacher = run.layout.student(run.after), run.layout.teacher(run.task)
    run.check(STUDENT, "before")
    with atomic_path(teacher) as scratch:
        link_tree(student, scratch)
    run.say(f"{student} -> {teacher}")


if __name__ == "__main__":
    run_alone(snapshot)
