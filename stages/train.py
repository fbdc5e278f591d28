"""`lamol train T`: train the student of T on its mix, starting from the teacher's weights."""

from lamol_core.artifacts.spec import METHOD, STATE, STUDENT
from lamol_core.methods.registry import METHODS
from lamol_core.models.params import AdapterParams
from lamol_core.text.params import TextParams
from lamol_core.training.inputs import read_training
from lamol_core.training.outputs import write_training
from lamol_core.training.params import TrainParams
from lamol_core.training.student import count_all_steps, init_accelerate, train_from_checkpoint
from stages.console import progress
from stages.guard import run_as_module
from stages.runtime import StageRun, stage


@stage("train")
def train(run: StageRun) -> None:
    init_accelerate()
    params, chosen = run.block("train", TrainParams), METHODS[run.method]
    method = chosen(run.block(METHOD, chosen.Params))
    adapter, text = run.block("adapter", AdapterParams), run.block("text", TextParams)
    given = read_training(run, method, params, adapter, text, run.seed)
    if method.keeps_real_rows and run.position == 1:
        where = f"They lie in {run.path(STATE)}, during training in {given.checkpoints.resume} too."
        run.say(f"{method.name}: {method.privacy} {where}")
    steps = count_all_steps(given.training_set.mix, method, params)
    with progress(f"train {run.task}", steps, "steps") as advance:
        trained = train_from_checkpoint(
            given.checkpoints,
            given.training_set,
            method,
            params,
            run.seed,
            on_step=lambda row, _: advance(1, f"loss {row['loss']:.3f}", row["seconds"]),
            adapter=adapter,
        )
    if not trained.is_main_process:
        return
    made = run.provenance(given.parameters)
    figures = write_training(trained, run, given, method.mixes_real_rows, made)
    device = str(trained.model.device)
    figures = run.write_figures(figures, seconds_before=trained.seconds_before, device=device)
    for resume in trained.resumes:
        resume.remove()
    if trained.num_cut:
        run.say(f"{trained.num_cut} rows lost their beginning, to fit text.max_length")
    run.say(
        f"{figures['steps']} steps, loss {figures['final_loss']:.4f}, {figures['seconds']:.0f} s "
        f"-> {run.path(STUDENT)}"
    )
    run.show({key: figures[key] for key in figures if key != "curve"})


if __name__ == "__main__":
    run_as_module("train")
