"""Where everything lies in a sequence's folder. One place knows the paths of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OF_EXPERT = ".expert"
"""Behind a task's name, where a method's expert leaves what it goes on from."""


@dataclass(frozen=True)
class Layout:
    """Paths of one sequence, relative to the folder of its params.yaml."""

    root: Path = Path()

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def all_data(self) -> Path:
        return self.root / "data"

    @property
    def all_runs(self) -> Path:
        return self.root / "runs"

    @property
    def with_rows(self) -> tuple[Path, ...]:
        """Where lamol itself writes what may have real rows in it."""
        return self.all_data, self.all_runs, self.private

    @property
    def private(self) -> Path:
        """What is no output of a stage: trainings that were cut off, records of forgotten tasks."""
        return self.root / ".lamol"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def figures(self) -> Path:
        """One JSON file a task and stage: what it scored and what it cost; `report` reads it."""
        return self.reports / "figures"

    def figure(self, task: str, stage: str) -> Path:
        return self.figures / f"{task}.{stage}.json"

    def data(self, task: str) -> Path:
        return self.all_data / task

    def run(self, task: str) -> Path:
        return self.all_runs / task

    def student(self, task: str) -> Path:
        return self.run(task) / "student"

    def teacher(self, task: str) -> Path:
        return self.run(task) / "teacher"

    def state(self, task: str) -> Path:
        return self.run(task) / "state"

    def pseudo(self, task: str) -> Path:
        return self.run(task) / "pseudo.parquet"

    def audit(self, task: str) -> Path:
        return self.run(task) / "audit"

    def mix(self, task: str) -> Path:
        return self.run(task) / "mix.parquet"

    def train_log(self, task: str) -> Path:
        return self.run(task) / "train_log.csv"

    def teacher_states(self, task: str) -> Path:
        """What training asks of the teacher; there only while a task is trained."""
        return self.private / "teacher" / task

    def resume(self, task: str) -> Path:
        """What a training that was cut off goes on from, in a folder named by its inputs' hash."""
        return self.private / "resume" / task

    def training_lock(self, task: str) -> Path:
        """Held by a process as long as it trains a task."""
        return self.private / "training" / f"{task}.lock"

    @property
    def all_forgotten(self) -> Path:
        return self.private / "forgotten"

    def forgotten(self, task: str) -> Path:
        """That a task's rows were forgotten, and what stands in their place."""
        return self.all_forgotten / task

    @property
    def fingerprint_key(self) -> Path:
        """The key of the hashes that are kept of forgotten rows: not beside them."""
        return self.private / "fingerprint.key"

    def predictions(self, task: str) -> Path:
        return self.run(task) / "predictions.parquet"

    def model_card(self, task: str) -> Path:
        return self.run(task) / "model_card.md"

    def metrics(self, task: str) -> Path:
        return self.run(task) / "metrics.json"
