"""`lamol snapshot T`: freeze the student of the task before T as the teacher of T."""

from lamol_core.artifacts.atomic import atomic_path, link_tree
from lamol_core.artifacts.spec import STUDENT, TEACHER
from stages.guard import run_as_module
from stages.runtime import StageRun, stage


@stage("snapshot")
def snapshot(run: StageRun) -> None:
    manifest = run.check(STUDENT, "before")
    student, teacher = run.path(STUDENT, "before"), run.path(TEACHER)
    with atomic_path(teacher) as scratch:
        link_tree(student, scratch)
    run.say(f"{student} -> {teacher}")
    run.show({"teacher_sha256": manifest.content_sha256})


if __name__ == "__main__":
    run_as_module("snapshot")
