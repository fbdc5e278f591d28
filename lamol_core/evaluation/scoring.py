"""From a student's checkpoint to scored predictions on several tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import PartialState

from lamol_core.decoding.completions import Progress
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.evaluation.predict import CUT_TO_FIT, Answers, predict
from lamol_core.metrics.registry import score_rows
from lamol_core.models.checkpoints import load_model
from lamol_core.records import Example, Prediction
from lamol_core.text.tokenizer import TextCodec


@dataclass(frozen=True)
class Scored:
    """The scored answer to every row; how many inputs were cut to `max_length`, and how many
    answers ended at `max_target_tokens`."""

    predictions: list[Prediction]
    inputs_cut: int
    answers_cut: int

    @property
    def scores(self) -> dict[str, float]:
        """The mean score of each task that has rows, in percent."""
        by_task: dict[str, list[float]] = {}
        for one in self.predictions:
            by_task.setdefault(one.task, []).append(one.score)
        return {task: 100 * sum(scores) / len(scores) for task, scores in by_task.items()}

    @property
    def average(self) -> float | None:
        """Over these tasks; None where there is none."""
        scores = self.scores.values()
        return sum(scores) / len(scores) if scores else None

    @property
    def summary(self) -> str:
        """The average, then each task's score."""
        shown = ", ".join(f"{task} {score:.1f}" for task, score in self.scores.items())
        return "no score" if self.average is None else f"average {self.average:.1f} ({shown})"

    def cuts(self, params: EvaluateParams) -> list[str]:
        """What was cut, a sentence each."""
        cuts = []
        if self.inputs_cut:
            cuts.append(f"{self.inputs_cut} inputs were cut {CUT_TO_FIT}")
        if self.answers_cut:
            where = f"evaluate.max_target_tokens, {params.max_target_tokens}"
            cuts.append(f"{self.answers_cut} answers ended at {where}")
        return cuts


def answer_from_checkpoint(
    student: Path,
    inputs: Sequence[str],
    params: EvaluateParams,
    max_length: int,
    on_rows_done: Progress = lambda count: None,
) -> Answers:
    """Load a student (eval mode) and answer every input."""
    model = load_model(student, PartialState().device)
    return predict(model, TextCodec.load(student), inputs, params, max_length, on_rows_done)


def predict_from_checkpoint(
    student: Path,
    rows_by_task: Mapping[str, Sequence[Example]],
    metric_by_task: Mapping[str, str],
    params: EvaluateParams,
    max_length: int,
    on_rows_done: Progress = lambda count: None,
) -> Scored:
    """Answer and score every row, all tasks in one pass; the model is not given the task."""
    if not any(rows_by_task.values()):
        return Scored([], 0, 0)
    rows = [row for task_rows in rows_by_task.values() for row in task_rows]
    inputs = [row.input for row in rows]
    answers = answer_from_checkpoint(student, inputs, params, max_length, on_rows_done)
    predictions: list[Prediction] = []
    for task, metric in metric_by_task.items():
        chosen = [(row, answer) for row, answer in zip(rows, answers.texts, strict=True)
                  if row.task == task]  # fmt: skip
        scores = score_rows(metric, [a for _, a in chosen], [row.target for row, _ in chosen])
        predictions += [
            Prediction(task, row.row_id, answer, score)
            for (row, answer), score in zip(chosen, scores, strict=True)
        ]
    return Scored(predictions, answers.inputs_cut, answers.answers_cut)


def score_zero_shot(
    models: Mapping[str, Path],
    rows: Sequence[Example],
    metric: str,
    params: EvaluateParams,
    max_length: int,
) -> dict[str, float | None]:
    """The score, in percent, of checkpoints on rows of a task that they have not learnt."""
    task = rows[0].task
    return {
        name: predict_from_checkpoint(
            folder, {task: rows}, {task: metric}, params, max_length
        ).average
        for name, folder in models.items()
    }
