"""The work that each task of a sequence asks for, counted in tokens. No model is needed.

Pseudo-samples are taken to be as long as the real rows of their task, and none to be rejected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean

from lamol_core.config.task_names import BASE
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.quotas import rows_wanted
from lamol_core.generation.requests import DRAWS_FOR_BALANCE
from lamol_core.methods.spec import Method
from lamol_core.parameters import Params
from lamol_core.records import TaskFacts
from lamol_core.text.template import NUM_CONTROL


@dataclass(frozen=True)
class RowTokens:
    """Mean tokens of a row, and the share of rows that were cut to a limit."""

    input: float
    target: float
    share_cut: float = 0.0

    @property
    def total(self) -> float:
        return self.input + self.target


@dataclass(frozen=True)
class TaskRows:
    """A task's facts, and how long its real and its pseudo rows are, each cut to its limits."""

    facts: TaskFacts
    real: RowTokens
    drawn: RowTokens


@dataclass(frozen=True)
class TaskWork:
    """What learning one task takes: rows, steps, and tokens by what is done with them."""

    task: str
    new_rows: int
    pseudo_rows: int
    steps: int
    trained_tokens: float
    """Forward and backward, over all epochs, an expert's too."""
    taught_tokens: float
    """Forward of the teacher alone."""
    rows_after_training: int
    """Rows with a backward of their own after the last step."""
    drawn_tokens: float
    answered_tokens: float


def plan_work(params: Params, method: Method, tasks: Mapping[str, TaskRows]) -> list[TaskWork]:
    """The work of every task of params.yaml, in its order."""
    return [_task_work(params, method, tasks, lineage_of(params, name)) for name in tasks]


def lineage_of(params: Params, task: str) -> list[str]:
    """The tasks that are learnt up to this one, itself last."""
    lineage = [task]
    while (after := params.tasks[lineage[0]].after) != BASE:
        lineage.insert(0, after)
    return lineage


def _task_work(
    params: Params, method: Method, tasks: Mapping[str, TaskRows], lineage: Sequence[str]
) -> TaskWork:
    seen = [tasks[name] for name in lineage]
    *earlier, task = seen
    counts = _pseudo_counts(params, task, earlier)
    learnt = seen if method.mixes_real_rows else [task]
    new_rows = sum(one.facts.num_rows["train"] for one in learnt)
    new_tokens = sum(one.facts.num_rows["train"] * _view_tokens(method, one.real) for one in learnt)
    pseudo_tokens = sum(
        count * _view_tokens(method, one.drawn) for count, one in zip(counts, earlier, strict=True)
    )
    cost = method.cost(new_rows)
    steps, passes = _steps(params, new_rows + sum(counts))
    recalled = cost.memory_rows_each_step * fmean(_view_tokens(method, one.real) for one in seen)
    trained = passes * (new_tokens + pseudo_tokens) + steps * recalled
    if method.expert_loss is not None:
        expert_steps, expert_passes = _steps(params, new_rows)
        steps += expert_steps
        trained += expert_passes * new_tokens
    distilled = {origin for term in method.loss.distilled for origin in term.origins}
    taught = new_tokens * ("new" in distilled) + pseudo_tokens * ("pseudo" in distilled)
    taught *= passes if params.train.teacher_targets == "online" else 1
    drawn = _drawn_tokens(params, counts, earlier)
    checked = drawn if params.generate.self_consistent else 0.0
    return TaskWork(
        task=task.facts.name,
        new_rows=new_rows,
        pseudo_rows=sum(counts),
        steps=steps,
        trained_tokens=trained,
        taught_tokens=taught,
        rows_after_training=cost.rows_after_training,
        drawn_tokens=drawn,
        answered_tokens=checked + _answered_tokens(params, seen),
    )


def _view_tokens(method: Method, row: RowTokens) -> float:
    """Tokens of a row in all views that the method trains on."""
    return sum(row.total + NUM_CONTROL[view] for view in method.loss.views)


def _drawn_tokens(params: Params, counts: Sequence[int], earlier: Sequence[TaskRows]) -> float:
    """Tokens that the teacher writes; `counts` are rows wanted of each earlier task."""
    carried = [0] * len(earlier)
    if params.generate.carry_over and earlier:
        carried = [*_pseudo_counts(params, earlier[-1], earlier[:-1]), 0]
    return _draws_per_row(params.generate) * sum(
        max(count - there, 0) * (one.drawn.total + NUM_CONTROL["gen"])
        for count, there, one in zip(counts, carried, earlier, strict=True)
    )


def _answered_tokens(params: Params, seen: Sequence[TaskRows]) -> float:
    """Tokens of the evaluation: all tasks so far; for zero-shot scores the new one twice more."""
    again = 2 if params.evaluate.forward_transfer and len(seen) > 1 else 0
    return sum(
        one.facts.num_rows[params.evaluate.split] * (one.real.total + NUM_CONTROL["qa"])
        for one in (*seen, *[seen[-1]] * again)
    )


def _draws_per_row(generate: GenerateParams) -> int:
    """Where labels are drawn for, all that balancing them may ask for. Tasks whose rows are still
    short then are drawn for up to `max_attempts`: how many that is, only the teacher can tell."""
    if generate.known_labels and generate.balance_labels:
        return max(generate.draws_per_row, min(generate.max_attempts, DRAWS_FOR_BALANCE))
    return generate.draws_per_row


def _pseudo_counts(params: Params, task: TaskRows, earlier: Sequence[TaskRows]) -> list[int]:
    """Rows wanted of each earlier task."""
    if not params.chosen.rehearses:
        return [0] * len(earlier)
    facts = [one.facts for one in earlier]
    return [*rows_wanted(params.generate, task.facts, facts).values()]


def _steps(params: Params, num_rows: int) -> tuple[int, float]:
    """Optimizer steps, and how often each row is seen."""
    train = params.train
    if train.steps is not None:
        return train.steps, train.steps * train.batch_size / num_rows
    return train.epochs * ceil(num_rows / train.batch_size), float(train.epochs)
