"""From each task's figures to the content of reports/summary.json: one chain of tasks a leaf."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import Any

from lamol_core.artifacts.spec import FIGURES, SUMMARY, remedy, repro
from lamol_core.config.task_names import BASE
from lamol_core.errors import ArtifactError
from lamol_core.evaluation.matrix import ScoreMatrix, ZeroShot, forward_transfer
from lamol_core.methods.registry import METHODS
from lamol_core.methods.spec import Symptom

logger = logging.getLogger(__name__)
EVALUATED = FIGURES["evaluate"]


# With the few hundred test rows a task usually has, one score's standard error is 2 to 3 points
# (sqrt(p(1-p)/n)); differences of 10 points are beyond it, so advice does not chase noise.
HIGH_FORGETTING_POINTS = 10.0
LOW_NEW_TASK_POINTS = 10.0
# Fewer pseudo-samples than an audit judges by themselves (audit.min_rows). Chosen, not measured.
FEW_PSEUDO_ROWS = 30
# One draw in five no row of its tasks: a quarter more sampling than the rows. Chosen, not measured.
HIGH_REJECTED_SHARE = 0.20
# A training's last fifth has a mean loss beyond both above an earlier fifth's. Of 511 trainings of
# SmolLM2 behind docs/results (their curves are not kept) one has.
UNSTABLE_RISE_SHARE = 0.5
UNSTABLE_RISE_NATS = 0.1
# A sentence that lists more can no longer be read; the tables of the report hold the rest.
MAX_NAMED_TASKS = 5
AUDIT_KEYS = ("verdict", "failed", "poor_samples_by", "rows_flagged")


@dataclass(frozen=True)
class TaskFigures:
    """What the stages measured for one task.

    `after` is the predecessor's name or "base"; `scores` are percent by task, for this task and
    all before it, None where test rows were forgotten; `seconds` by stage name; `pseudo` counts
    rows: "valid" and "rejected" ones that were drawn, and where there are such, "carried" (used
    again), "surplus" (well formed, not needed) and "duplicates" among the rejected; `kept` is what
    the method has of old tasks: "real_rows" and "bytes"; `curve` is that of training/log.py;
    `zero_shot` is None where it was not measured; `audit` is what the audit's figures have, {}
    without an audit; `machine` is what the training ran on, {} where it was not noted;
    `flagged_dropped` counts flagged rows that were left out of the training."""

    task: str
    after: str
    scores: dict[str, float | None]
    num_test_rows: dict[str, int]
    seconds: dict[str, float]
    peak_memory_bytes: int
    pseudo: dict[str, int]
    kept: dict[str, int] = field(default_factory=lambda: {"real_rows": 0, "bytes": 0})
    curve: list[dict[str, float]] = field(default_factory=list)
    zero_shot: ZeroShot | None = None
    audit: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    flagged_dropped: int = 0


def build_summary(method: str, figures: list[TaskFigures], order: list[str]) -> dict[str, Any]:
    """The content of reports/summary.json; scores in percent, seconds, bytes.

    `order` holds the task names as params.yaml lists them. The top-level keys describe the chain
    that ends in the last leaf of that order; `chains` holds one such dict for every leaf.
    Raises ArtifactError for missing figures or scores, unknown predecessors and cycles."""
    by_task = _by_task(figures, order)
    chains = [_summarise(method, chain) for chain in _chains(by_task)]
    return {**chains[-1], "chains": chains}


def _by_task(figures: Sequence[TaskFigures], order: Sequence[str]) -> dict[str, TaskFigures]:
    """The figures of the tasks in `order`, in that order; others are left-overs and ignored."""
    if not order:
        raise ArtifactError("params.yaml: `tasks` is empty. Name at least one task there.")
    times = Counter(figure.task for figure in figures)
    if double := sorted(task for task, num in times.items() if num > 1):
        raise ArtifactError(f"tasks {double} have figures twice. {remedy(SUMMARY)}")
    if left_over := sorted(times.keys() - set(order)):
        logger.warning("ignoring figures of tasks that params.yaml does not name: %s", left_over)
    found = {figure.task: figure for figure in figures}
    for task in order:
        if task not in found:
            raise ArtifactError(
                f"task '{task}': its figures are missing. {remedy(EVALUATED, task)}"
            )
    for task in order:
        after = found[task].after
        if after != BASE and after not in order:
            raise ArtifactError(
                f"task '{task}': it follows '{after}', which params.yaml does not name. "
                f"Mend `after` there, then run {repro(EVALUATED, task)}."
            )
    return {task: found[task] for task in order}


def _chains(by_task: dict[str, TaskFigures]) -> list[list[TaskFigures]]:
    """The path from the first task to each leaf, leaves in the order of `by_task`."""
    paths = {task: _path(by_task, task) for task in by_task}
    followed = {figure.after for figure in by_task.values()}
    return [path for task, path in paths.items() if task not in followed]


def _path(by_task: dict[str, TaskFigures], task: str) -> list[TaskFigures]:
    path = [by_task[task]]
    while path[0].after != BASE:
        if len(path) == len(by_task):
            raise ArtifactError(
                f"task '{task}': it follows itself by way of '{path[0].after}'. Let one of them "
                f"follow '{BASE}' in params.yaml, then run {repro(EVALUATED, task)}."
            )
        path.insert(0, by_task[path[0].after])
    return path


def _summarise(method: str, chain: list[TaskFigures]) -> dict[str, Any]:
    matrix = _score_matrix(chain)
    stages = dict.fromkeys(stage for figure in chain for stage in figure.seconds)
    by_stage = {stage: sum(figure.seconds.get(stage, 0.0) for figure in chain) for stage in stages}
    return {
        "method": method,
        "tasks": list(matrix.tasks),
        "score_matrix": [list(row) for row in matrix.rows],
        "final_average": matrix.final_average(),
        "incremental_average": matrix.incremental_average(),
        "forgetting": matrix.forgetting(),
        "backward_transfer": matrix.backward_transfer(),
        "forward_transfer": forward_transfer([figure.zero_shot for figure in chain[1:]]),
        "seconds": sum(by_stage.values()),
        "peak_memory_bytes": max(figure.peak_memory_bytes for figure in chain),
        "kept_real_rows": chain[-1].kept["real_rows"],
        "kept_bytes": chain[-1].kept["bytes"],
        "seconds_by_stage": by_stage,
        "seconds_by_task": {figure.task: dict(figure.seconds) for figure in chain},
        "num_test_rows": dict(chain[-1].num_test_rows),
        "pseudo": {figure.task: dict(figure.pseudo) for figure in chain},
        "not_scored": matrix.not_scored(),
        "audits": {figure.task: _audited(figure.audit) for figure in chain if figure.audit},
        "machines": _machines(chain),
        "advice": _advice(method, matrix, chain),
    }


def _audited(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Of an audit's figures what the report shows."""
    return {key: audit[key] for key in AUDIT_KEYS if key in audit}


def _machines(chain: list[TaskFigures]) -> list[dict[str, str]]:
    """What the trainings ran on, each machine once."""
    found: list[dict[str, str]] = []
    for figure in chain:
        if figure.machine and figure.machine not in found:
            found.append(figure.machine)
    return found


def _score_matrix(chain: list[TaskFigures]) -> ScoreMatrix:
    tasks = tuple(figure.task for figure in chain)
    for i, figure in enumerate(chain):
        missing = [task for task in tasks[: i + 1] if task not in figure.scores]
        if missing:
            raise ArtifactError(
                f"task '{figure.task}': no score on {missing}. {remedy(EVALUATED, figure.task)}"
            )
    rows = (tuple(fig.scores[task] for task in tasks[: i + 1]) for i, fig in enumerate(chain))
    return ScoreMatrix(tasks, tuple(rows))


def _advice(method: str, matrix: ScoreMatrix, chain: list[TaskFigures]) -> list[str]:
    """What the method says of the symptoms that these figures show."""
    found = _symptoms(matrix, chain)
    advice = METHODS[method].advice if method in METHODS else {}
    return [text.format(**found[name]) for name, text in advice.items() if name in found]


def _symptoms(matrix: ScoreMatrix, chain: list[TaskFigures]) -> dict[Symptom, dict[str, Any]]:
    """What calls for another parameter, with the places and figures to name."""
    found: dict[Symptom, dict[str, Any]] = {}
    forgetting = matrix.forgetting()
    forgets = forgetting is not None and forgetting > HIGH_FORGETTING_POINTS
    few = [
        f"{figure.task} {figure.pseudo['valid']}"
        for figure in chain[1:]
        if figure.pseudo["valid"] < FEW_PSEUDO_ROWS
    ]
    if forgets:
        found["high_forgetting"] = {"points": forgetting}
        if few:
            found["few_pseudo_rows"] = {"tasks": _some(few)}
    first, *later = [row[-1] for row in matrix.rows]
    # Nothing is distilled in the first task: what one learns without it.
    low = [
        f"{task} {score:.1f} %"
        for task, score in zip(matrix.tasks[1:], later, strict=True)
        if first is not None and score is not None and first - score > LOW_NEW_TASK_POINTS
    ]
    if low:
        shown = f"{matrix.tasks[0]} {first:.1f} %"
        found["low_new_task"] = {"tasks": _some(low), "first": shown}
        if forgets:
            found["forgetting_and_low_new_task"] = {}
    if poor := [said for figure in chain if (said := _poor_pseudo_samples(figure))]:
        found["poor_pseudo_samples"] = {"tasks": _some(poor)}
    if unstable := [figure.task for figure in chain[1:] if _is_unstable(figure.curve)]:
        found["unstable_training"] = {"tasks": _some(unstable)}
    return found


def _poor_pseudo_samples(figure: TaskFigures) -> str | None:
    """Of a task whose pseudo-samples were poor: its name and why."""
    share = poor_share(figure.pseudo)
    if share is not None and share > HIGH_REJECTED_SHARE:
        return f"{figure.task} {100 * share:.0f} %"
    if checks := figure.audit.get("poor_samples_by"):
        return f"{figure.task}, by its audit's {', '.join(checks)}"
    return None


def _is_unstable(curve: Sequence[Mapping[str, float]]) -> bool:
    """Whether a training ended with a loss far above one that it had reached."""
    losses = [point["loss"] for point in curve]
    if len(losses) < 10:
        return False
    cuts = [len(losses) * place // 5 for place in range(6)]
    *earlier, last = (fmean(losses[i:j]) for i, j in pairwise(cuts))
    lowest = min(earlier)
    return last - lowest > max(UNSTABLE_RISE_SHARE * lowest, UNSTABLE_RISE_NATS)


def poor_share(pseudo: Mapping[str, int]) -> float | None:
    """Of all rows drawn for a task, those that were rejected as malformed, or (where the options of
    `generate` look for it) as having a label of no task or contradicted. A text said twice is none
    of these. None where none was drawn."""
    drawn = pseudo.get("valid", 0) + pseudo.get("rejected", 0) + pseudo.get("surplus", 0)
    poor = pseudo.get("rejected", 0) - pseudo.get("duplicates", 0)
    return poor / drawn if drawn else None


def _some(names: list[str]) -> str:
    more = len(names) - MAX_NAMED_TASKS
    listed = ", ".join(names[:MAX_NAMED_TASKS])
    return f"{listed} and {more} more" if more > 0 else listed
