"""Builds the content of reports/summary.json from the figures of each task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lamol_core.artifacts.spec import FIGURES, remedy
from lamol_core.config.task_names import lineage
from lamol_core.errors import ArtifactError
from lamol_core.evaluation.matrix import ScoreMatrix, ZeroShot, forward_transfer
from lamol_core.reporting.advice import advice_on

AUDIT_KEYS = ("verdict", "privacy", "quality", "failed", "poor_samples_by", "rows_flagged")


@dataclass(frozen=True)
class TaskFigures:
    """What the stages measured for one task.

    after: the name of the previous task, or "base".
    scores: percent on this task and each earlier one; None where its test rows were forgotten.
    seconds: the time that each stage took, by stage.
    pseudo: numbers of drawn rows that were "valid" and "rejected"; above 0 also "carried" (used
        again), "duplicates" (among the rejected) and "flagged_dropped" (left out of the training).
    held: the pseudo-samples of each earlier task that were trained on: their number, "rows", and
        that of the task's "classes" (0 for free text).
    kept: what the method keeps of old tasks, as numbers of "real_rows" and "bytes".
    curve: the losses, as training/outputs.py thins them.
    zero_shot: scores on this task before it was learnt; None where they were not measured.
    audit: the figures of the audit of its pseudo-samples; {} without an audit.
    machine: the machine that trained the student; {} where that was not recorded.
    method: the method that trained the student."""

    task: str
    after: str
    scores: dict[str, float | None]
    num_test_rows: dict[str, int]
    seconds: dict[str, float]
    peak_memory_bytes: int
    pseudo: dict[str, int]
    held: dict[str, dict[str, int]] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=lambda: {"real_rows": 0, "bytes": 0})
    curve: list[dict[str, float]] = field(default_factory=list)
    zero_shot: ZeroShot | None = None
    audit: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    method: str = ""


def build_summary(parameters: Mapping[str, Any], figures: Sequence[TaskFigures]) -> dict[str, Any]:
    """Return the content of reports/summary.json; scores are in percent, times in seconds, sizes in
    bytes.

    `parameters` is params.yaml with all defaults; `figures` are those of all its tasks, in its
    order. `chains` holds one dictionary for each task that no other task follows; the top-level
    keys repeat the last of them. Raises ArtifactError where a score is missing."""
    by_task = {figure.task: figure for figure in figures}
    for figure in figures:
        if figure.method not in ("", parameters["method"]):
            raise ArtifactError(
                f"task '{figure.task}': its scores are of {figure.method}, and params.yaml has "
                f"{parameters['method']}. {remedy(FIGURES['evaluate'], figure.task)}"
            )
    followed = {figure.after for figure in figures}
    leaves = [task for task in by_task if task not in followed]
    orders = [lineage(by_task, leaf)[::-1] for leaf in leaves]
    chains = [_summarise(parameters, [by_task[task] for task in order]) for order in orders]
    return {**chains[-1], "chains": chains}


def _summarise(parameters: Mapping[str, Any], chain: list[TaskFigures]) -> dict[str, Any]:
    matrix = _score_matrix(chain)
    stages = dict.fromkeys(stage for figure in chain for stage in figure.seconds)
    by_stage = {stage: sum(figure.seconds.get(stage, 0.0) for figure in chain) for stage in stages}
    machines = [figure.machine for figure in chain if figure.machine]
    summary: dict[str, Any] = {
        "method": parameters["method"],
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
        "held": dict(chain[-1].held),
        "not_scored": matrix.not_scored(),
        "audits": {
            figure.task: {key: figure.audit[key] for key in AUDIT_KEYS if key in figure.audit}
            for figure in chain
            if figure.audit
        },
        "machines": [own for i, own in enumerate(machines) if own not in machines[:i]],
    }
    curves = {figure.task: figure.curve for figure in chain}
    return {**summary, "advice": advice_on(summary, curves, parameters)}


def _score_matrix(chain: list[TaskFigures]) -> ScoreMatrix:
    tasks = tuple(figure.task for figure in chain)
    for i, figure in enumerate(chain):
        if missing := [task for task in tasks[: i + 1] if task not in figure.scores]:
            raise ArtifactError(
                f"task '{figure.task}': no score on {missing}. "
                f"{remedy(FIGURES['evaluate'], figure.task)}"
            )
    rows = (tuple(fig.scores[task] for task in tasks[: i + 1]) for i, fig in enumerate(chain))
    return ScoreMatrix(tasks, tuple(rows))
