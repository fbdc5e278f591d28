"""Write the outputs of a training: student, state and log; and compute its figures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from lamol_core.artifacts.figures import write_csv
from lamol_core.artifacts.manifest import MANIFEST, Provenance, read_manifest, write_folder
from lamol_core.artifacts.spec import STATE, STUDENT, TEACHER, TRAIN_LOG
from lamol_core.artifacts.store import Inputs
from lamol_core.data.task_data import TaskData
from lamol_core.models.checkpoints import read_turns, save_checkpoint
from lamol_core.training.inputs import TrainingInputs
from lamol_core.training.student import TrainedStudent
from lamol_core.training.trainer import MEASURED_COLUMNS

MAX_POINTS = 60
"""The most points of a loss curve, which is all that a chart can show."""
NOT_TERMS = ("step", "grad_norm", "learning_rate", "tokens", *MEASURED_COLUMNS)


def write_training(
    trained: TrainedStudent,
    inputs: Inputs,
    given: TrainingInputs,
    mixes: bool,
    provenance: Provenance,
) -> dict[str, Any]:
    """Write the outputs of a task's training, from the main process; returns its figures. `mixes`:
    whether the method trains on the real rows of every task."""
    teacher, data = inputs.path(TEACHER), given.data
    turns = read_turns(teacher)
    if data.facts.has_turns:
        turns |= {data.facts.name: dict(sorted(trained.num_answers.items()))}
    save_checkpoint(
        inputs.path(STUDENT), trained.model, provenance, tokenizer_from=teacher, turns=turns
    )
    write_folder(inputs.path(STATE), STATE.kind, provenance, trained.memory.write)
    log = trained.log_rows
    num_pseudo = given.training_set.num_pseudo_rows
    columns = [name for name in log[0] if name not in MEASURED_COLUMNS]
    write_csv(inputs.path(TRAIN_LOG), log, columns)
    return {
        "rows": trained.num_rows,
        "steps": len(log),
        "tokens": sum(row["tokens"] for row in log),
        "final_loss": log[-1]["loss"],
        "rows_cut": trained.num_cut,
        "curve": thin_curve(log),
        "held": {
            facts.name: {"rows": num_pseudo[facts.name], "classes": len(facts.learnt_classes)}
            for facts in data.earlier
        },
        "kept": count_kept(inputs.path(STATE), data, mixes),
    }


def thin_curve(log_rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Cut the log into at most MAX_POINTS stretches; returns the means of step and terms in each.

    A term is left out where the method does not have it, or where it is 0 or absent in every row of
    a stretch."""
    size = max(math.ceil(len(log_rows) / MAX_POINTS), 1)
    points = []
    for start in range(0, len(log_rows), size):
        stretch = log_rows[start : start + size]
        point = {"step": fmean(row["step"] for row in stretch)}
        for name in log_rows[0]:
            values = [row[name] for row in stretch if row[name] is not None]
            if name not in NOT_TERMS and (any(values) or name == "loss"):
                point[name] = float(f"{fmean(values):.5g}")
        points.append(point)
    return points


def count_kept(state: Path, data: TaskData, mixes: bool) -> dict[str, int]:
    """How many real rows are kept, and the bytes of all that is kept besides the student: the files
    of the task's state and, if the method `mixes` them in, the training rows of every task so far.
    """
    files = [path for path in state.iterdir() if path.name != MANIFEST]
    num_rows = read_manifest(state / MANIFEST, "").rows.get("real_rows", 0)
    if mixes:
        files += [data.file(facts.name, "train") for facts in data.lineage]
        num_rows += sum(facts.num_rows["train"] for facts in data.lineage)
    return {"real_rows": num_rows, "bytes": sum(path.stat().st_size for path in files)}
