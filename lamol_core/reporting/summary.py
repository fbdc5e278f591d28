"""Builds the content of reports/summary.json from the figures of each task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import Any

from lamol_core.artifacts.spec import FIGURES, remedy
from lamol_core.config.task_names import lineage
from lamol_core.errors import ArtifactError
from lamol_core.evaluation.matrix import ScoreMatrix, ZeroShot, forward_transfer
from lamol_core.methods.registry import METHODS
from lamol_core.methods.spec import Symptom

# With the few hundred test rows a task usually has, one score's standard error is 2 to 3 points
# (sqrt(p(1-p)/n)); differences of 10 points are beyond it, so advice does not chase noise.
HIGH_FORGETTING_POINTS = 10.0
LOW_NEW_TASK_POINTS = 10.0
# As many as an audit needs to judge a task (audit.min_rows). Chosen, not measured.
FEW_PSEUDO_ROWS = 30
# If one draw in five is poor, a quarter more is sampled than used. Chosen, not measured.
HIGH_REJECTED_SHARE = 0.20
# Unstable: the mean loss of a training's last fifth exceeds that of an earlier fifth by both. True
# of one of the 511 trainings of SmolLM2 behind docs/results (their curves are not kept).
UNSTABLE_RISE_SHARE = 0.5
UNSTABLE_RISE_NATS = 0.1
# A longer list is hard to read; the tables of the report hold the rest.
MAX_NAMED_TASKS = 5
AUDIT_KEYS = ("verdict", "failed", "poor_samples_by", "rows_flagged")


@dataclass(frozen=True)
class TaskFigures:
    """What the stages measured for one task.

    after: the name of the previous task, or "base".
    scores: percent on this task and each earlier one; None where its test rows were forgotten.
    seconds: the time that each stage took, by stage.
    pseudo: numbers of drawn rows that were "valid" and "rejected"; above 0 also "carried" (used
        again), "surplus" (well formed, not needed) and "duplicates" (among the rejected).
    kept: what the method keeps of old tasks, as numbers of "real_rows" and "bytes".
    curve: the losses, as training/outputs.py thins them.
    zero_shot: scores on this task before it was learnt; None where they were not measured.
    audit: the figures of the audit of its pseudo-samples; {} without an audit.
    machine: the machine that trained the student; {} where that was not recorded.
    method: the method that trained the student.
    flagged_dropped: number of flagged rows that were left out of the training."""

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
    method: str = ""
    flagged_dropped: int = 0


def build_summary(method: str, figures: Sequence[TaskFigures]) -> dict[str, Any]:
    """Return the content of reports/summary.json; scores are in percent, times in seconds, sizes in
    bytes.

    `figures` are those of every task of params.yaml, in its order. `chains` holds one dictionary
    for each task that no other task follows; the top-level keys repeat the last of them. Raises
    ArtifactError where a score is missing."""
    by_task = {figure.task: figure for figure in figures}
    followed = {figure.after for figure in figures}
    leaves = [task for task in by_task if task not in followed]
    orders = [lineage(by_task, leaf)[::-1] for leaf in leaves]
    chains = [_summarise(method, [by_task[task] for task in order]) for order in orders]
    return {**chains[-1], "chains": chains}


def _summarise(method: str, chain: list[TaskFigures]) -> dict[str, Any]:
    matrix = _score_matrix(chain)
    stages = dict.fromkeys(stage for figure in chain for stage in figure.seconds)
    by_stage = {stage: sum(figure.seconds.get(stage, 0.0) for figure in chain) for stage in stages}
    machines = [figure.machine for figure in chain if figure.machine]
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
        "audits": {
            figure.task: {key: figure.audit[key] for key in AUDIT_KEYS if key in figure.audit}
            for figure in chain
            if figure.audit
        },
        "machines": [own for i, own in enumerate(machines) if own not in machines[:i]],
        "advice": _advice(method, matrix, chain),
    }


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


def _advice(method: str, matrix: ScoreMatrix, chain: list[TaskFigures]) -> list[str]:
    """Return the method's advice on each symptom that these figures show."""
    found = _symptoms(matrix, chain)
    advice = METHODS[method].advice if method in METHODS else {}
    return [text.format(**found[name]) for name, text in advice.items() if name in found]


def _symptoms(matrix: ScoreMatrix, chain: list[TaskFigures]) -> dict[Symptom, dict[str, Any]]:
    """Return the symptoms that these figures show, each with the values that its advice names."""
    found: dict[Symptom, dict[str, Any]] = {}
    points = matrix.forgetting()
    if points is not None and points > HIGH_FORGETTING_POINTS:
        found["high_forgetting"] = {"points": points}
        counts = {figure.task: figure.pseudo["valid"] for figure in chain[1:]}
        if few := [f"{task} {count}" for task, count in counts.items() if count < FEW_PSEUDO_ROWS]:
            found["few_pseudo_rows"] = {"tasks": _listed(few)}
    first, *later = [row[-1] for row in matrix.rows]
    # Nothing is distilled in the first task: its score shows what is learnt without it.
    low = [
        f"{task} {score:.1f} %"
        for task, score in zip(matrix.tasks[1:], later, strict=True)
        if first is not None and score is not None and first - score > LOW_NEW_TASK_POINTS
    ]
    if low:
        shown = f"{matrix.tasks[0]} {first:.1f} %"
        found["low_new_task"] = {"tasks": _listed(low), "first": shown}
        if "high_forgetting" in found:
            found["forgetting_and_low_new_task"] = {}
    if poor := [text for figure in chain if (text := _poor_pseudo_samples(figure))]:
        found["poor_pseudo_samples"] = {"tasks": _listed(poor)}
    if unstable := [figure.task for figure in chain[1:] if _is_unstable(figure.curve)]:
        found["unstable_training"] = {"tasks": _listed(unstable)}
    return found


def _poor_pseudo_samples(figure: TaskFigures) -> str | None:
    """Return the task and why its pseudo-samples are poor, as text; None where they are not."""
    share = poor_share(figure.pseudo)
    if share is not None and share > HIGH_REJECTED_SHARE:
        return f"{figure.task} {100 * share:.0f} %"
    if checks := figure.audit.get("poor_samples_by"):
        return f"{figure.task} by its audit ({', '.join(checks)})"
    return None


def _is_unstable(curve: Sequence[Mapping[str, float]]) -> bool:
    """Whether the mean loss of a training's last fifth is far above that of an earlier fifth."""
    losses = [point["loss"] for point in curve]
    if len(losses) < 10:
        return False
    cuts = [len(losses) * fifth // 5 for fifth in range(6)]
    *earlier, last = (fmean(losses[i:j]) for i, j in pairwise(cuts))
    lowest = min(earlier)
    return last - lowest > max(UNSTABLE_RISE_SHARE * lowest, UNSTABLE_RISE_NATS)


def poor_share(pseudo: Mapping[str, int]) -> float | None:
    """Return the share of a task's drawn rows that were rejected for anything but being
    duplicates: malformed rows, and rows with an unknown or contradicted label if `generate`
    checks labels. None where no row was drawn."""
    drawn = pseudo.get("valid", 0) + pseudo.get("rejected", 0) + pseudo.get("surplus", 0)
    poor = pseudo.get("rejected", 0) - pseudo.get("duplicates", 0)
    return poor / drawn if drawn else None


def _listed(names: list[str]) -> str:
    more = len(names) - MAX_NAMED_TASKS
    listed = ", ".join(names[:MAX_NAMED_TASKS])
    return f"{listed} and {more} more" if more > 0 else listed
