"""Counts what each task of a sequence has to compute, in tokens. No model is needed.

Pseudo-samples are assumed to be as long as the real rows of their task, and none to be rejected.
The work of a judge is not counted: it reads each row once with half of the backbone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lamol_core.config.task_names import lineage
from lamol_core.generation.quotas import rows_wanted
from lamol_core.parameters import Params
from lamol_core.preflight.row_tokens import TaskTokens
from lamol_core.records import TaskFacts
from lamol_core.training.params import TrainParams
from lamol_core.training.trainer import count_steps


@dataclass(frozen=True)
class TaskWork:
    """The work of learning one task. `trained_tokens` are the tokens of its mix, over all
    epochs."""

    task: str
    new_rows: int
    pseudo_rows: int
    steps: int
    trained_tokens: float
    drawn_tokens: float
    answered_tokens: float


def count_epochs(steps: int, num_rows: int, train: TrainParams) -> float:
    """How often so many steps read each of these rows."""
    return train.epochs if train.steps is None else steps * train.batch_size / num_rows


def plan_work(
    params: Params, facts: Mapping[str, TaskFacts], tokens: Mapping[str, TaskTokens]
) -> Iterator[TaskWork]:
    """Yield the work of every task, in the order of params.yaml. `tokens`: of each task's rows."""
    method, train, generate = params.chosen, params.train, params.generate
    for task in facts:
        *earlier, _ = seen = lineage(params.tasks, task)[::-1]
        before = [facts[name] for name in earlier]
        wanted = rows_wanted(generate, facts[task], before, method.rehearses)
        learnt = seen if method.mixes_real_rows else [task]
        real = [(facts[name].num_rows["train"], tokens[name].real) for name in learnt]
        pseudo = [(count, tokens[name].pseudo) for name, count in wanted.items()]
        num_rows = sum(count for count, _ in real + pseudo)
        steps = count_steps(num_rows, train)
        epochs = count_epochs(steps, num_rows, train)
        # with carry_over the rows of older tasks are there already
        fresh = pseudo[-1:] if generate.carry_over else pseudo
        zero_shot = [task] * 2 if params.evaluate.forward_transfer and earlier else []
        split = params.evaluate.split
        tested = [(facts[name].num_rows[split], tokens[name].real) for name in [*seen, *zero_shot]]
        yield TaskWork(
            task=task,
            new_rows=sum(count for count, _ in real),
            pseudo_rows=sum(wanted.values()),
            steps=steps,
            trained_tokens=epochs * sum(count * one.trained for count, one in real + pseudo),
            drawn_tokens=sum(count * one.drawn for count, one in fresh),
            answered_tokens=sum(count * one.answered for count, one in tested),
        )
