"""Where everything lies in a sequence's folder: declared artefacts (spec.py) and other files."""

from dataclasses import dataclass
from pathlib import Path

from lamol_core.artifacts import spec

OF_EXPERT = ".expert"
"""Behind a task's name, where a method's expert leaves what it goes on from."""


@dataclass(frozen=True)
class Layout:
    """Paths of one sequence, relative to the folder of its params.yaml."""

    root: Path = Path()

    @property
    def all_runs(self) -> Path:
        return self.root / "runs"

    @property
    def with_rows(self) -> tuple[Path, ...]:
        """Where lamol itself writes what may have real rows in it."""
        return self.root / "data", self.all_runs, self.private

    @property
    def private(self) -> Path:
        """What is no output of a stage: interrupted trainings, records of forgotten tasks, pages
        with real rows."""
        return self.root / ".lamol"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def figure(self, task: str, stage: str) -> Path:
        return spec.FIGURES[stage].at(task, self.root)

    def data(self, task: str) -> Path:
        return spec.DATA.at(task, self.root)

    def run(self, task: str) -> Path:
        return self.all_runs / task

    def student(self, task: str) -> Path:
        return spec.STUDENT.at(task, self.root)

    def teacher(self, task: str) -> Path:
        return spec.TEACHER.at(task, self.root)

    def state(self, task: str) -> Path:
        return spec.STATE.at(task, self.root)

    def pseudo(self, task: str) -> Path:
        return spec.PSEUDO.at(task, self.root)

    def audit(self, task: str) -> Path:
        return spec.AUDIT.at(task, self.root)

    def mix(self, task: str) -> Path:
        return spec.MIX.at(task, self.root)

    def teacher_states(self, task: str) -> Path:
        """What training asks of the teacher; there only while a task is trained."""
        return self.private / "teacher" / task

    def resume(self, task: str) -> Path:
        """What a training that was cut off goes on from, in a folder named by its inputs' hash."""
        return self.private / "resume" / task

    def page_with_real_rows(self, task: str) -> Path:
        """The page of a task's audit with `audit.show_real_rows`: no output of DVC."""
        return self.private / "audit" / f"{task}.html"

    @property
    def locks(self) -> Path:
        return self.private / "locks"

    def lock(self, output: Path) -> Path:
        """Held by a process as long as it makes an output."""
        return self.locks / f"{'.'.join(output.relative_to(self.root).parts)}.lock"

    @property
    def all_forgotten(self) -> Path:
        return self.private / "forgotten"

    def forgotten(self, task: str) -> Path:
        """The record that a task's rows were forgotten, and what replaces them."""
        return self.all_forgotten / task

    @property
    def fingerprint_key(self) -> Path:
        """The key of the hashes that are kept of forgotten rows: not beside them."""
        return self.private / "fingerprint.key"
