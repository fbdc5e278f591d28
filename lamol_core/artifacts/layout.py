"""The paths of everything in a sequence's folder: declared artefacts (spec.py) and other files."""

from dataclasses import dataclass
from pathlib import Path

from lamol_core.artifacts import spec

OF_EXPERT = ".expert"
"""Added to a task's name: the folder where an interrupted training of its expert is kept."""


@dataclass(frozen=True)
class Layout:
    """The paths of one sequence. `root` is the folder of its params.yaml."""

    root: Path = Path()

    @property
    def all_runs(self) -> Path:
        return self.root / "runs"

    @property
    def all_data(self) -> Path:
        return self.root / "data"

    @property
    def with_rows(self) -> tuple[Path, ...]:
        """The folders in which lamol writes files that may contain real rows."""
        return self.all_data, self.all_runs, self.private

    @property
    def private(self) -> Path:
        """The folder of files that no stage declares: interrupted trainings, records of forgotten
        tasks, pages with real rows, the report's script."""
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

    def state(self, task: str) -> Path:
        return spec.STATE.at(task, self.root)

    def pseudo(self, task: str) -> Path:
        return spec.PSEUDO.at(task, self.root)

    def audit(self, task: str) -> Path:
        return spec.AUDIT.at(task, self.root)

    def teacher_states(self, task: str) -> Path:
        """The teacher's stored hidden states. They exist only while the task is trained."""
        return self.private / "teacher" / task

    @property
    def all_resumes(self) -> Path:
        return self.private / "resume"

    def resume(self, task: str) -> Path:
        """The folder of a task's interrupted trainings. Each lies in a folder named by the hash of
        its inputs."""
        return self.all_resumes / task

    def page_with_real_rows(self, task: str) -> Path:
        """The page of a task's audit with `audit.show_real_rows`. DVC does not track it."""
        return self._private_pages / f"{task}.html"

    @property
    def pages_with_real_rows(self) -> list[Path]:
        return sorted(self._private_pages.glob("*.html"))

    @property
    def _private_pages(self) -> Path:
        return self.private / "audit"

    @property
    def page_script(self) -> Path:
        """The folder of the script of the report's page, which takes seconds to make."""
        return self.private / "report"

    @property
    def locks(self) -> Path:
        return self.private / "locks"

    def lock(self, output: Path) -> Path:
        """The lock file that a process holds while it writes an output."""
        return self.locks / f"{'.'.join(output.relative_to(self.root).parts)}.lock"

    @property
    def all_forgotten(self) -> Path:
        return self.private / "forgotten"

    def forgotten(self, task: str) -> Path:
        """The record that a task's rows were forgotten, and the files that replace its rows."""
        return self.all_forgotten / task

    @property
    def fingerprint_key(self) -> Path:
        """The key of the hashes kept of forgotten rows. It does not lie beside the hashes."""
        return self.private / "fingerprint.key"
