"""`lamol train T`: learn the mix of a task, starting from (and taught by) the teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages.runtime import (
    MEASURED,
    Cost,
    DebugOption,
    JsonOption,
    SetOption,
    TaskArgument,
    guarded,
    open_params,
    run_alone,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.manifest import Manifest, Provenance
    from lamol_core.config.blocks import Params
    from lamol_core.data.task_data import TaskData
    from lamol_core.methods.spec import Method
    from lamol_core.training.retention import Kept
    from lamol_core.training.student import Checkpoints, TrainedStudent, TrainingSet


@guarded
def train(
    task: TaskArgument,
    overrides: SetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a task's student: runs/TASK/student, state and train_log.csv.

    Example: lamol train travel --set train.epochs=3
    """
    cost = Cost()
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.locks import sole_training
    from stages.console import print_json, say

    params, layout = open_params(overrides), Layout()
    with sole_training(layout.training_lock(task), task):
        trained, figures = _train(task, params, layout, cost)
    if figures is None:
        return
    if trained.num_cut:
        say(f"train {task}: {trained.num_cut} inputs were cut to fit train.max_length")
    say(
        f"train {task}: {figures['steps']} steps, loss {figures['final_loss']:.4f}, "
        f"{figures['seconds']:.0f} s -> {layout.student(task)}"
    )
    if json:
        print_json({"task": task, **{key: figures[key] for key in figures if key != "curve"}})


def _train(
    task: str, params: Params, layout: Layout, cost: Cost
) -> tuple[TrainedStudent, dict[str, Any] | None]:
    """Train and write; gives what the report tells of it too. Of several processes the main one
    writes, the others give None."""
    from lamol_core.artifacts.figures import write_csv, write_json
    from lamol_core.methods.quotas import KEEPS_REAL_ROWS, MIXES_REAL_ROWS
    from lamol_core.methods.registry import build_method
    from lamol_core.training.retention import count_kept
    from lamol_core.training.student import count_all_steps, train_from_checkpoint
    from lamol_core.training.trainer import MEASURED_COLUMNS
    from stages.console import progress, say

    cost.imported()
    method = build_method(params)
    given = _read(task, params, layout, method)
    if params.method in KEEPS_REAL_ROWS - MIXES_REAL_ROWS:
        say(
            f"train {task}: {params.method} KEEPS REAL ROWS in {layout.state(task)} (while it "
            f"trains in {layout.resume(task)} too)"
        )
    steps = count_all_steps(given.training_set.mix, method, params.train)
    with progress(f"train {task}", steps, "steps") as advance:
        trained = train_from_checkpoint(
            _checkpoints(task, params, layout),
            given.training_set,
            method,
            params.train,
            params.seed,
            on_step=lambda row, _: advance(1, f"loss {row['loss']:.3f}", row["seconds"]),
            say=lambda message: say(f"train {task}: {message}"),
        )
    if not trained.is_main_process:
        return trained, None
    provenance = _provenance(params, method, given)
    trained.save(layout.student(task), layout.teacher(task), provenance)
    trained.save_state(layout.state(task), provenance)
    columns = [name for name in trained.log_rows[0] if name not in MEASURED_COLUMNS]
    write_csv(layout.train_log(task), trained.log_rows, columns)
    kept = count_kept(layout.state(task), given.data, params.method)
    figures = _figures(len(given.training_set.mix), trained, kept)
    figures |= cost.figures(trained.seconds_before)
    figures["machine"]["device"] = str(trained.model.device)
    write_json(layout.figure(task, "train"), figures, MEASURED)
    trained.discard_resumes()
    return trained, figures


@dataclass(frozen=True)
class _Given:
    """What a training reads, all of it checked, and the hashes that its outputs name."""

    data: TaskData
    training_set: TrainingSet
    inputs: dict[str, str]


def _read(task: str, params: Params, layout: Layout, method: Method) -> _Given:
    """Raises ArtifactError with the command that mends it."""
    from lamol_core.artifacts.kinds import CHECKPOINT, MIX, PSEUDO
    from lamol_core.artifacts.manifest import check_folder
    from lamol_core.artifacts.tables import read_table
    from lamol_core.config.blocks import BASE
    from lamol_core.data.task_data import TaskData
    from lamol_core.methods.quotas import find_sampling, real_rows, rows_wanted
    from lamol_core.models.checkpoints import check_state
    from lamol_core.records import MIX_SCHEMA, PSEUDO_SCHEMA, MixRow, PseudoSample, from_table
    from lamol_core.training.student import TrainingSet

    after = params.task(task).after
    data = TaskData.load(layout.data(task))
    teacher = check_folder(
        layout.teacher(task), CHECKPOINT, f"Run `dvc repro snapshot@{task}` again."
    )
    state = check_state(layout.state(after), f"Run `dvc repro train@{after}` again.")
    mix, of_mix = read_table(
        layout.mix(task), MIX, MIX_SCHEMA, f"Run `dvc repro mix@{task}` again."
    )
    pseudo, of_pseudo = read_table(
        layout.pseudo(task), PSEUDO, PSEUDO_SCHEMA, f"Run `dvc repro generate@{task}` again."
    )
    inputs = {
        "data": data.content_sha256,
        "mix": of_mix.content_sha256,
        "pseudo": of_pseudo.content_sha256,
        "state": state.content_sha256,
        "teacher": teacher.content_sha256,
    }
    if method.expert_loss is not None:
        backbone = check_folder(layout.student(BASE), CHECKPOINT, "Run `dvc repro backbone` again.")
        inputs["backbone"] = backbone.content_sha256
    sampling = find_sampling(params)
    training_set = TrainingSet(
        from_table(mix, MixRow),
        real_rows(data, params.method),
        from_table(pseudo, PseudoSample),
        lineage=tuple(facts.name for facts in data.lineage),
        task_specific_token=sampling is not None and sampling.task_specific_token,
    )
    if after != BASE:
        _require_same_training(layout.state(after), state, teacher, task)
    drawn_by = {"teacher": inputs["teacher"]}
    _require_made_of(layout.pseudo(task), of_pseudo, drawn_by, f"generate@{task}")
    mixed_from = {"pseudo": inputs["pseudo"], "train.parquet": data.train_sha256}
    _require_made_of(layout.mix(task), of_mix, mixed_from, f"mix@{task}")
    wanted = sum(rows_wanted(sampling, data.facts, data.earlier).values())
    if (wanted > 0) != bool(training_set.pseudo):
        _refuse_table_of_other_settings(layout.pseudo(task), params.method)
    if sum(row.origin == "new" for row in training_set.mix) != len(training_set.real):
        _refuse_table_of_other_settings(layout.mix(task), params.method)
    return _Given(data, training_set, inputs)


def _require_same_training(folder: Path, state: Manifest, teacher: Manifest, task: str) -> None:
    """Raises ArtifactError where trainings run by hand left the state, and the teacher another."""
    from lamol_core.errors import ArtifactError

    if (state.parameters, state.inputs) != (teacher.parameters, teacher.inputs):
        raise ArtifactError(
            f"{folder}: what the method keeps there was left by another training than the teacher. "
            f"Run `lamol snapshot {task}` to go on from it, or `dvc repro snapshot@{task}` for "
            "what params.yaml says; then the stages after it."
        )


def _refuse_table_of_other_settings(table: Path, method: str) -> None:
    """Raises ArtifactError: stages run by hand made the table for what rehearses other rows."""
    from lamol_core.errors import ArtifactError

    raise ArtifactError(
        f"{table}: was made for other settings (method, gamma, rows_per_class) than those of "
        f"{method} now. Run `lamol generate`, `lamol audit` and `lamol mix` with them, or "
        "`dvc repro`."
    )


def _require_made_of(table: Path, manifest: Manifest, inputs: dict[str, str], stage: str) -> None:
    """Raises ArtifactError where stages run by hand left a table of other inputs than these."""
    from lamol_core.errors import ArtifactError

    for name, expected in inputs.items():
        if manifest.inputs.get(name) != expected:
            raise ArtifactError(
                f"{table}: was made with another {name} than is there now. "
                f"Run `dvc repro {stage}` again."
            )


def _checkpoints(task: str, params: Params, layout: Layout) -> Checkpoints:
    from lamol_core.config.blocks import BASE
    from lamol_core.training.student import Checkpoints

    return Checkpoints(
        layout.teacher(task),
        states=layout.teacher_states(task),
        state=layout.state(params.task(task).after),
        backbone=layout.student(BASE),
        resume=layout.resume(task),
    )


def _provenance(params: Params, method: Method, given: _Given) -> Provenance:
    from lamol_core.artifacts.manifest import Provenance

    acting = method.parameters(given.training_set.has_pseudo_rows)
    return Provenance(
        parameters={
            "method": params.method,
            "seed": params.seed,
            **{f"{params.method}.{key}": value for key, value in acting.items()},
            **{f"train.{key}": value for key, value in params.train.model_dump().items()},
        },
        inputs=given.inputs,
    )


def _figures(num_rows: int, trained: TrainedStudent, kept: Kept) -> dict[str, Any]:
    """What the report tells of a training."""
    from lamol_core.training.log import thin_curve

    return {
        "rows": num_rows,
        "steps": len(trained.log_rows),
        "tokens": sum(row["tokens"] for row in trained.log_rows),
        "final_loss": trained.log_rows[-1]["loss"],
        "inputs_cut": trained.num_cut,
        "curve": thin_curve(trained.log_rows),
        "kept": kept.as_dict(),
    }


if __name__ == "__main__":
    run_alone(train)
