"""`lamol train T`: learn the mix of a task, starting from (and taught by) the teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lamol_core.config.task_names import BASE
from lamol_core.errors import ArtifactError
from stages.console import print_json, progress
from stages.runtime import MEASURED, JsonOption, StageRun, run_alone, stage

if TYPE_CHECKING:
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.manifest import Manifest
    from lamol_core.artifacts.spec import Artifact
    from lamol_core.data.task_data import TaskData
    from lamol_core.methods.spec import Method
    from lamol_core.training.params import TrainParams
    from lamol_core.training.student import TrainedStudent, TrainingSet


@stage("train")
def train(run: StageRun, json: JsonOption = False) -> None:
    from lamol_core.methods.registry import find_method
    from lamol_core.training.params import TrainParams
    from lamol_core.training.student import begin_processes

    begin_processes()
    run.cost.imported()
    params = run.block("train", TrainParams)
    chosen = find_method(run.method)
    method = chosen(run.block(chosen.name, chosen.Params))
    given = _read(run, method)
    trained = _train(run, method, params, given)
    if not trained.is_main_process:
        return
    figures = _write(run, method, params, given, trained)
    if trained.num_cut:
        run.say(f"{trained.num_cut} inputs were cut to fit text.max_length")
    run.say(
        f"{figures['steps']} steps, loss {figures['final_loss']:.4f}, {figures['seconds']:.0f} s "
        f"-> {run.layout.student(run.task)}"
    )
    if json:
        print_json({"task": run.task, **{key: figures[key] for key in figures if key != "curve"}})


def _train(
    run: StageRun, method: Method[Any], params: TrainParams, given: _Given
) -> TrainedStudent:
    from lamol_core.training.student import Checkpoints, count_all_steps, train_from_checkpoint

    layout, task = run.layout, run.task
    checkpoints = Checkpoints(
        layout.teacher(task),
        states=layout.teacher_states(task),
        state=layout.state(run.after),
        backbone=layout.student(BASE),
        resume=layout.resume(task),
    )
    if method.keeps_real_rows:
        run.say(
            f"{method.name}: {method.privacy} In {layout.state(task)}, and while it trains "
            f"in {layout.resume(task)}."
        )
    steps = count_all_steps(given.training_set.mix, method, params)
    with progress(f"train {task}", steps, "steps") as advance:
        return train_from_checkpoint(
            checkpoints,
            given.training_set,
            method,
            params,
            run.seed,
            on_step=lambda row, _: advance(1, f"loss {row['loss']:.3f}", row["seconds"]),
            say=run.say,
        )


def _write(
    run: StageRun, method: Method[Any], params: TrainParams, given: _Given, trained: TrainedStudent
) -> dict[str, Any]:
    """Write student, state, log and figures; gives the figures."""
    from lamol_core.artifacts.figures import write_csv, write_json
    from lamol_core.artifacts.spec import TRAIN_LOG
    from lamol_core.training.log import thin_curve
    from lamol_core.training.retention import count_kept
    from lamol_core.training.trainer import MEASURED_COLUMNS

    layout, task = run.layout, run.task
    acting = method.acting(given.training_set.has_pseudo_rows)
    provenance = run.provenance(
        {
            "method": method.name,
            "seed": run.seed,
            **given.of_mix,
            **{f"{method.name}.{key}": value for key, value in acting.items()},
            **{f"train.{key}": value for key, value in params.model_dump().items()},
        }
    )
    trained.save(layout.student(task), layout.teacher(task), provenance)
    trained.save_state(layout.state(task), provenance)
    columns = [name for name in trained.log_rows[0] if name not in MEASURED_COLUMNS]
    write_csv(run.path(TRAIN_LOG), trained.log_rows, columns)
    kept = count_kept(layout.state(task), given.data, method.mixes_real_rows)
    figures = {
        "rows": len(given.training_set.mix),
        "steps": len(trained.log_rows),
        "tokens": sum(row["tokens"] for row in trained.log_rows),
        "final_loss": trained.log_rows[-1]["loss"],
        "inputs_cut": trained.num_cut,
        "curve": thin_curve(trained.log_rows),
        "kept": kept,
        **run.cost.figures(trained.seconds_before),
    }
    figures["machine"]["device"] = str(trained.model.device)
    write_json(layout.figure(task, "train"), figures, MEASURED)
    trained.discard_resumes()
    return figures


@dataclass(frozen=True)
class _Given:
    """What a training reads, all of it checked."""

    data: TaskData
    training_set: TrainingSet
    of_mix: dict[str, Any]
    """What a checkpoint's manifest says of how its rows were chosen and cut."""


def _read(run: StageRun, method: Method[Any]) -> _Given:
    from lamol_core.artifacts.spec import MIX, PSEUDO, STATE, STUDENT, TEACHER
    from lamol_core.data.task_data import TaskData
    from lamol_core.records import MixRow, PseudoSample, from_table
    from lamol_core.text.params import TextParams
    from lamol_core.training.student import TrainingSet

    layout, task, text = run.layout, run.task, run.block("text", TextParams)
    data = TaskData.load(run.layout.data(run.task))
    run.inputs["data"] = data.content_sha256
    real = data.rows_to_mix(method.mixes_real_rows)
    teacher, state = run.check(TEACHER), run.check(STATE, "before")
    mix, of_mix = run.read(MIX)
    pseudo, of_pseudo = run.read(PSEUDO)
    if method.expert_loss is not None:
        run.check(STUDENT, "base")
    if run.after != BASE:
        _require_same_training(layout, run.after, state, teacher, task)
    _require_made_of(layout, PSEUDO, task, of_pseudo, {"teacher": teacher.content_sha256})
    mixed_from = {"pseudo": of_pseudo.content_sha256, "train.parquet": data.train_sha256}
    _require_made_of(layout, MIX, task, of_mix, mixed_from)
    _require_mixed_for(layout, task, of_mix, method)
    training_set = TrainingSet(
        from_table(mix, MixRow),
        real,
        from_table(pseudo, PseudoSample),
        lineage=tuple(facts.name for facts in data.lineage),
        task_specific_token=method.rehearses and text.use_task_specific_gen_token,
        max_length=text.max_length,
    )
    said: dict[str, Any] = {"text.max_length": text.max_length}
    if method.rehearses:
        said["text.use_task_specific_gen_token"] = text.use_task_specific_gen_token
    if dropped := of_mix.parameters.get("flagged_dropped"):
        said["mix.flagged_dropped"] = dropped
    return _Given(data, training_set, said)


def _require_same_training(
    layout: Layout, after: str, state: Manifest, teacher: Manifest, task: str
) -> None:
    """Raises ArtifactError where trainings run by hand left the state, and the teacher another."""
    from lamol_core.artifacts.spec import TEACHER, repro

    if (state.parameters, state.inputs) != (teacher.parameters, teacher.inputs):
        raise ArtifactError(
            f"{layout.state(after)}: what the method keeps there was left by another training than "
            f"the teacher. Run `lamol snapshot {task}` to go on from it, or "
            f"{repro(TEACHER, task)} for what params.yaml says; then the stages after it."
        )


def _require_mixed_for(layout: Layout, task: str, of_mix: Manifest, method: Method[Any]) -> None:
    """Raises ArtifactError where the mix was made for a method that rehearses other rows."""
    from lamol_core.methods.registry import METHODS

    mixed_for = str(of_mix.parameters.get("method"))
    other = METHODS.get(mixed_for)
    mine = method.rehearses, method.mixes_real_rows
    if other is None or (other.rehearses, other.mixes_real_rows) != mine:
        raise ArtifactError(
            f"{layout.mix(task)}: was made for {mixed_for}, which rehearses other rows than "
            f"{method.name}. Run `lamol generate`, `lamol audit` and `lamol mix` with it, or "
            "`dvc repro`."
        )


def _require_made_of(
    layout: Layout, artifact: Artifact, task: str, manifest: Manifest, inputs: dict[str, str]
) -> None:
    """Raises ArtifactError where stages run by hand left a table of other inputs than these."""
    from lamol_core.artifacts.spec import remedy

    for name, expected in inputs.items():
        if manifest.inputs.get(name) != expected:
            raise ArtifactError(
                f"{artifact.at(task, layout.root)}: was made with another {name} than is there "
                f"now. {remedy(artifact, task)}"
            )


if __name__ == "__main__":
    run_alone("train")
