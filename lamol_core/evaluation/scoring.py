"""Predicts and scores answers on several tasks with a student's checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Progress
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.evaluation.predict import Answers, predict
from lamol_core.metrics.registry import score_rows
from lamol_core.models.checkpoints import load_model
from lamol_core.records import Example, Prediction, TaskFacts
from lamol_core.text.codecs import load_codec
from lamol_core.text.plain import written_forms
from lamol_core.text.tokenizer import TextCodec


@dataclass(frozen=True)
class Scored:
    """The scored answer to every row, and what was cut."""

    predictions: list[Prediction]
    answers: Answers

    @property
    def scores(self) -> dict[str, float]:
        """The mean score of each task that has rows, in percent."""
        by_task: dict[str, list[float]] = {}
        for prediction in self.predictions:
            by_task.setdefault(prediction.task, []).append(prediction.score)
        return {task: 100 * sum(scores) / len(scores) for task, scores in by_task.items()}

    @property
    def average(self) -> float | None:
        """The mean of the tasks' scores, in percent; None where no task has rows."""
        scores = self.scores.values()
        return sum(scores) / len(scores) if scores else None

    @property
    def summary(self) -> str:
        """The average and each task's score, as text."""
        shown = ", ".join(f"{task} {score:.1f}" for task, score in self.scores.items())
        return "no score" if self.average is None else f"average {self.average:.1f} ({shown})"


def load_student(student: Path) -> tuple[PreTrainedModel, TextCodec]:
    """Load a student in evaluation mode, to answer inputs with `predict`."""
    return load_model(student, PartialState().device), load_codec(student)


def predict_from_checkpoint(
    student: Path,
    rows_by_task: Mapping[str, Sequence[Example]],
    facts_by_task: Mapping[str, TaskFacts],
    params: EvaluateParams,
    max_length: int,
    on_rows_done: Progress = lambda count: None,
) -> Scored:
    """Answer and score every row, all tasks in one pass. The model is not told a row's task, but
    the system message that the task has in chat data. A target is compared in the form in which the
    model writes it."""
    asked = [row for rows in rows_by_task.values() for row in rows]
    if not asked:
        return Scored([], Answers([]))
    model, codec = load_student(student)
    told = [facts_by_task[row.task].system for row in asked]
    inputs, histories = [row.input for row in asked], [row.history for row in asked]
    answers = predict(model, codec, inputs, params, max_length, on_rows_done, told, histories)
    texts = iter(answers.texts)
    predictions: list[Prediction] = []
    for task, rows in rows_by_task.items():
        own = list(islice(texts, len(rows)))
        forms = written_forms([row.target for row in rows], codec)
        wanted = [forms.get(row.target, row.target) for row in rows]
        scores = score_rows(facts_by_task[task].metric, own, wanted)
        predictions += [
            Prediction(task, row.row_id, text, score)
            for row, text, score in zip(rows, own, scores, strict=True)
        ]
    return Scored(predictions, answers)
