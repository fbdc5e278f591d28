"""The judge of labels: means of each label's features, which the untrained backbone computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lamol_core.artifacts.spec import JUDGE, STUDENT
from lamol_core.artifacts.store import Inputs
from lamol_core.data.task_data import TaskData
from lamol_core.models.discriminant import Discriminant, LabelOf
from lamol_core.models.features import FrozenFeatures
from lamol_core.records import Example, PseudoSample
from lamol_core.text.normalise import normalise


@dataclass(frozen=True)
class Judge:
    """Says which label of which task an input has, among those it has learnt. Later trainings do
    not change what it says of them."""

    features: FrozenFeatures
    learnt: Discriminant

    @classmethod
    def read(cls, inputs: Inputs) -> Judge:
        """The judge of the task before, with the backbone. Raises ArtifactError where one of them
        is missing or was changed."""
        inputs.check(JUDGE, "before")
        inputs.check(STUDENT, "base")
        learnt = Discriminant.load(inputs.path(JUDGE, "before"))
        return cls(FrozenFeatures(inputs.path(STUDENT, "base")), learnt)

    def agrees(self, samples: Sequence[PseudoSample]) -> list[bool]:
        """Whether each sample's input has the label of its target and task. True for free text."""
        known = {task for task, _ in self.learnt.classes}
        asked = [index for index, sample in enumerate(samples) if sample.source_task in known]
        verdicts = [True] * len(samples)
        if asked:
            found = self.learnt.classify(self.features.of([samples[i].input for i in asked]))
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
        features = self.features.of([row.input for row in rows])
        return replace(self, learnt=self.learnt.with_rows(labels, features))

    def learn(self, data: TaskData) -> Discriminant:
        """What the judge has learnt so far, with the labels of a new task. Raises ArtifactError
        where the task's training rows were forgotten."""
        return self.with_rows(data.rows("train") if data.facts.learnt_classes else []).learnt
