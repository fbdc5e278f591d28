"""From a student's checkpoint to scored predictions on several tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import PartialState

from lamol_core.decoding.completions import Progress
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.evaluation.predict import Answers, predict
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
    """Answer and score every row, all tasks in one pass; no task is told to the model."""
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
