"""The report's advice: one line on what to try next, or none.

The causes are asked in this order, and the first one found is told: unstable training, because the
scores then say little else; forgetting; a task learnt badly, last because it may just be harder.
What to try follows the measurements in docs/results, not the advice of methods' authors.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from lamol_core.evaluation.matrix import ScoreMatrix
from lamol_core.methods.registry import DEFAULT_METHOD, METHODS
from lamol_core.methods.replay import Replay

# By chance two scores on n rows differ by up to 2 sqrt(2 p (1-p) / n): 10 points for 200 rows. For
# fewer rows `_is_high` asks for more.
HIGH_FORGETTING_POINTS = 10.0
# In the runs behind docs/results every task was learnt, and the first one scored up to 14.3 points
# more than a later one (WOZ is harder than SST-2: `multitask` has 13.0).
LOW_NEW_TASK_POINTS = 20.0
# The most rows that were measured.
ENOUGH_ROWS_PER_CLASS = 14
# If one draw in five is poor, a quarter more is sampled than used. Chosen, not measured.
HIGH_REJECTED_SHARE = 0.20
# Unstable: the mean loss of a training's last fifth exceeds that of an earlier fifth by both. True
# of one of the 511 trainings of SmolLM2 behind docs/results (their curves are not kept).
UNSTABLE_RISE_SHARE = 0.5
UNSTABLE_RISE_NATS = 0.1

MEASURED = {
    "slower": "what that brings was not measured",
    "rehearse": "on five domains it ended 37.1 [26.0, 48.1] points above `finetune` and 23.6 "
    "[10.5, 36.7] above `ewc` (docs/results/clinc150.md)",
    "rows": "with `lamol_kd` on five domains, 14 rows per class drawn by label ended 11.1 [3.9, "
    "18.4] points higher (docs/results/clinc150_rows_by_label.md)",
    "more rows": "with SmolLM2 on five domains, five rows per class instead of two ended 5.2 [0.0, "
    "10.4] points higher (docs/results/clinc150_options.md)",
    "double": "20 rows per class instead of ten ended at 93.7 % instead of 91.1 %, in one "
    "run each of five tasks (docs/results/clinc150_rows_by_label.md)",
    "real rows": "if some real rows may be kept, it ended 3.6 [0.2, 6.9] points above `lamol_kd` "
    "with filters and five rows per class on five domains (docs/results/clinc150.md)",
    "longer": "five epochs ended at 60.5 %, one epoch at 56.4 ± 0.3 %, in one run and two of "
    "fifteen tasks (docs/results/clinc150_15_tasks.md)",
}
"""What each remedy brought, and the page with the figure."""
Finding = tuple[str, Mapping[str, Any], str]
"""What was found, the values to try by key of params.yaml, and the remedy in MEASURED."""


def advice_on(
    summary: Mapping[str, Any],
    curves: Mapping[str, Sequence[Mapping[str, float]]],
    parameters: Mapping[str, Any],
) -> list[str]:
    """Return at most one line. `curves` has the losses of each task's training, in the order of
    the tasks; `parameters` is params.yaml with all defaults."""
    matrix = ScoreMatrix.of(summary)
    found = (
        _unstable_training(curves, parameters)
        or _forgetting(matrix, summary, parameters)
        or _task_learnt_badly(matrix, summary["num_test_rows"], parameters["train"])
    )
    if found is None:
        return []
    told, values, remedy = found
    # ++ sets a key that is not in the file too
    options = " ".join(f"-S ++{key}={str(value).lower()}" for key, value in values.items())
    return [f"{told} Try `dvc exp run {options}`: {MEASURED[remedy]}."]


def _unstable_training(
    curves: Mapping[str, Sequence[Mapping[str, float]]], parameters: Mapping[str, Any]
) -> Finding | None:
    block = "adapter" if "adapter" in parameters else "train"
    slower = {f"{block}.learning_rate": parameters[block]["learning_rate"] / 2}
    for task, curve in curves.items():  # the first one is told: all later students start from it
        if _is_unstable(curve):
            told = f"The loss of `{task}` rose towards the end of its training."
            return told, slower, "slower"
    return None


def _forgetting(
    matrix: ScoreMatrix, summary: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Finding | None:
    if (matrix.forgetting() or 0.0) <= HIGH_FORGETTING_POINTS:
        return None
    points, task = max((points, task) for task, points in matrix.forgetting_by_task().items())
    method, generate = METHODS[parameters["method"]], parameters["generate"]
    is_high = _is_high(points, HIGH_FORGETTING_POINTS, summary["num_test_rows"][task])
    if not is_high or method.keeps_real_rows or method.mixes_real_rows:
        return None  # where real rows are kept, nothing was measured that helps
    told = f"`{task}` lost most: {points:.1f} points."
    if not method.rehearses:
        return f"{told} Nothing rehearsed it.", {"method": DEFAULT_METHOD}, "rehearse"

    last = matrix.tasks[-1]
    rows, classes = summary["held"][task]["rows"], summary["held"][task]["classes"]
    told += f" {rows} pseudo-samples rehearsed it last"
    told += f", {rows / classes:.1f} per class" if classes else ""
    if is_rejected := (share := poor_share(summary["pseudo"][last]) or 0.0) > HIGH_REJECTED_SHARE:
        told += f"; {100 * share:.0f} % of all draws were rejected"
    if failed := summary["audits"].get(last, {}).get("poor_samples_by"):
        told += f"; their audit failed ({', '.join(failed)})"
    # the judge rejects on purpose: what it leaves is good
    are_poor = failed or (is_rejected and generate["judge"] == "none")
    # a nano model writes too badly for a judge: its draws would run out
    is_nano = parameters["backbone"]["kind"] == "nano"
    more_rows = {"generate": {"rows_per_class": ENOUGH_ROWS_PER_CLASS}}
    missing = {
        f"{block}.{key}": value
        for block, values in (more_rows if is_nano else method.presets).items()
        for key, value in values.items()
        if _is_missing(parameters[block][key], value)
    }
    if not classes and generate["gamma"] < 1:
        return f"{told}.", {"generate.gamma": 2 * generate["gamma"] or 0.2}, "more rows"
    if classes and missing and (are_poor or rows / classes < ENOUGH_ROWS_PER_CLASS):
        return f"{told}.", missing, "more rows" if is_nano else "rows"
    if classes and not are_poor:
        now = max(generate["rows_per_class"], round(rows / classes))
        return f"{told}.", {"generate.rows_per_class": 2 * now}, "double"
    return f"{told}.", {"method": Replay.name}, "real rows"


def _is_missing(value: Any, wanted: Any) -> bool:
    """Whether a setting is off or lower than what is wanted."""
    return bool(value != wanted if isinstance(wanted, str) else value < wanted)


def _task_learnt_badly(
    matrix: ScoreMatrix, num_test_rows: Mapping[str, int], train: Mapping[str, Any]
) -> Finding | None:
    new = {task: row[-1] for task, row in zip(matrix.tasks, matrix.rows, strict=True)}
    first, first_score = matrix.tasks[0], new[matrix.tasks[0]]
    if first_score is None:
        return None
    worst, task = min((score, task) for task, score in new.items() if score is not None)
    num_rows = min(num_test_rows[first], num_test_rows[task])
    if not _is_high(first_score - worst, LOW_NEW_TASK_POINTS, num_rows):
        return None
    key = "steps" if train["steps"] else "epochs"
    told = f"`{task}` was learnt worst: {worst:.1f} %, where `{first}` had {first_score:.1f} %."
    return f"{told} It may just be harder.", {f"train.{key}": 2 * train[key]}, "longer"


def poor_share(pseudo: Mapping[str, int]) -> float | None:
    """Return the share of a task's drawn rows that were rejected for anything but being
    duplicates: malformed rows, and those to which a judge gives another label. None where no row
    was drawn."""
    drawn = pseudo.get("valid", 0) + pseudo.get("rejected", 0)
    poor = pseudo.get("rejected", 0) - pseudo.get("duplicates", 0)
    return poor / drawn if drawn else None


def _is_high(points: float, limit: float, num_test_rows: int) -> bool:
    """Whether a difference of two scores is above the limit and above what chance makes."""
    return points > max(limit, 200 * math.sqrt(0.5 / max(num_test_rows, 1)))


def _is_unstable(curve: Sequence[Mapping[str, float]]) -> bool:
    """Whether the mean loss of a training's last fifth is far above that of an earlier fifth."""
    losses = [point["loss"] for point in curve]
    if len(losses) < 10:
        return False
    cuts = [len(losses) * fifth // 5 for fifth in range(6)]
    *earlier, last = (fmean(losses[i:j]) for i, j in pairwise(cuts))
    lowest = min(earlier)
    return last - lowest > max(UNSTABLE_RISE_SHARE * lowest, UNSTABLE_RISE_NATS)
