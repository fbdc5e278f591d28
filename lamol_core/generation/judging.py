"""The judge of labels: means of each label's features, by the backbone before any task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from lamol_core.artifacts.spec import JUDGE, STUDENT
from lamol_core.artifacts.store import Inputs
from lamol_core.data.task_data import TaskData
from lamol_core.models.discriminant import NO_CLASSES, Discriminant, LabelOf
from lamol_core.models.features import FrozenFeatures
from lamol_core.records import Example, PseudoSample, asked_text
from lamol_core.text.normalise import normalise


@dataclass(frozen=True)
class Judge:
    """Says which label of which task an input has, among those it has learnt. Later trainings do
    not change what it says of them."""

    features: FrozenFeatures
    learnt: Discriminant
    with_new_task: Discriminant = NO_CLASSES
    """The statistics that the next task's judge begins with: the new task's labels too."""

    @classmethod
    def read(cls, inputs: Inputs, data: TaskData | None = None) -> Judge:
        """The judge of the task before, with the backbone. With `data` it also learns the labels of
        the new task. Raises ArtifactError where one of them is missing or was changed, or where
        the new task's training rows were forgotten."""
        inputs.check(JUDGE, "before")
        inputs.check(STUDENT, "base")
        learnt = Discriminant.load(inputs.path(JUDGE, "before"))
        judge = cls(FrozenFeatures(inputs.path(STUDENT, "base")), learnt)
        rows = data.rows("train") if data and data.facts.learnt_classes else []
        return replace(judge, with_new_task=judge.with_rows(rows).learnt)

    @property
    def tasks(self) -> set[str]:
        """The tasks whose labels it has learnt."""
        return {task for task, _ in self.learnt.classes}

    def distances(self, texts: Sequence[str]) -> Tensor:
        """The squared distance of each of n inputs from the mean of each of C labels, (n, C)."""
        return self.learnt.distances(self.features.of(texts))

    def agrees(self, samples: Sequence[PseudoSample]) -> list[bool]:
        """Whether each sample's input, with the turns before it, has the label of its target and
        task. True for free text."""
        known = self.tasks
        asked = [index for index, sample in enumerate(samples) if sample.source_task in known]
        verdicts = [True] * len(samples)
        if asked:
            found = self.learnt.classify(self.features.of([asked_text(samples[i]) for i in asked]))
            for i, label in zip(asked, found, strict=True):
                verdicts[i] = label == (samples[i].source_task, normalise(samples[i].target))
        return verdicts

    def with_rows(self, rows: Sequence[Example]) -> Judge:
        """This judge with the labels of these rows of new tasks; [] for free text."""
        if not rows:
            return self
        targets = self.features.as_written([row.target for row in rows])
        labels = [
            LabelOf(row.task, normalise(target)) for row, target in zip(rows, targets, strict=True)
        ]
        features = self.features.of([asked_text(row) for row in rows])
        return replace(self, learnt=self.learnt.with_rows(labels, features))
