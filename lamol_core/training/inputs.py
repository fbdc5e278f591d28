"""Read the inputs of a training from the sequence's folder, and check that they belong together."""

from dataclasses import dataclass
from typing import Any

from lamol_core.artifacts.manifest import Manifest
from lamol_core.artifacts.spec import MIX, PSEUDO, STATE, STUDENT, TEACHER, Artifact, remedy, repro
from lamol_core.artifacts.store import BACKBONE_SHA256, Inputs
from lamol_core.config.task_names import BASE
from lamol_core.data.task_data import TaskData
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.methods.registry import METHODS
from lamol_core.methods.spec import Method
from lamol_core.models.files import ADAPTER_CONFIG
from lamol_core.models.params import AdapterParams
from lamol_core.records import MixRow, PseudoSample, from_table
from lamol_core.text.params import TextParams
from lamol_core.training.encoding import TrainingSet
from lamol_core.training.params import TrainParams
from lamol_core.training.student import Checkpoints


@dataclass(frozen=True)
class TrainingInputs:
    """The inputs of a training, checked."""

    data: TaskData
    training_set: TrainingSet
    checkpoints: Checkpoints
    parameters: dict[str, Any]
    """The parameters that affect the training, for the manifests of its outputs."""


def read_training(
    inputs: Inputs,
    method: Method[Any],
    params: TrainParams,
    adapter: AdapterParams,
    text: TextParams,
    seed: int,
) -> TrainingInputs:
    """Read and check all inputs of a task's training.

    Raises ArtifactError where an input is missing or was changed, or where inputs do not belong
    together because stages were run by hand. Raises ConfigError where the teacher was trained with
    an adapter and the student would not be, or the other way round."""
    data = TaskData.read(inputs)
    real = data.rows_to_mix(method.mixes_real_rows)
    teacher, state = inputs.check(TEACHER), inputs.check(STATE, "before")
    mix, mix_manifest = inputs.read(MIX)
    pseudo, pseudo_manifest = inputs.read(PSEUDO)
    if method.expert_loss is not None:
        inputs.check(STUDENT, "base")
    if inputs.after != BASE:
        _require_one_training(inputs, state, teacher)
        _require_same_kind(inputs, adapter)
    _require_made_of(inputs, PSEUDO, pseudo_manifest, {"teacher": teacher.content_sha256})
    train = {"train.parquet": data.hashes["train.parquet"]}
    made_of = {"pseudo": pseudo_manifest.content_sha256, **train}
    _require_made_of(inputs, MIX, mix_manifest, made_of)
    _require_mixed_for(inputs, mix_manifest, method)
    prompts = text.prompts(data.lineage, names_task=method.rehearses)
    training_set = TrainingSet(
        from_table(mix, MixRow), real, from_table(pseudo, PseudoSample), prompts, text.max_length
    )
    layout, task = inputs.layout, inputs.task
    checkpoints = Checkpoints(
        inputs.path(TEACHER),
        states=layout.teacher_states(task),
        state=inputs.path(STATE, "before"),
        backbone=inputs.path(STUDENT, "base"),
        resume=layout.resume(task),
    )
    has_turns = any(facts.has_turns for facts in data.lineage)
    parameters = _acting_parameters(method, params, text, seed, training_set, has_turns)
    if dropped := mix_manifest.parameters.get("flagged_dropped"):
        parameters["mix.flagged_dropped"] = dropped
    if adapter.is_used:
        parameters |= adapter.made_of()
        parameters[BACKBONE_SHA256] = inputs.check(STUDENT, "base").content_sha256
    return TrainingInputs(data, training_set, checkpoints, parameters)


def _acting_parameters(
    method: Method[Any],
    params: TrainParams,
    text: TextParams,
    seed: int,
    training_set: TrainingSet,
    has_turns: bool,
) -> dict[str, Any]:
    """The parameters of these blocks that affect a training."""
    parameters = {"method": method.name, "seed": seed, "text.max_length": text.max_length}
    if method.rehearses:
        parameters["text.use_task_specific_gen_token"] = text.use_task_specific_gen_token
        if training_set.prompts.target_first:
            parameters["text.gen_order"] = text.gen_order
    if has_turns:
        parameters["text.supervise"] = text.supervise
    method_params = method.effective_params(training_set.has_pseudo_rows)
    parameters |= {f"{method.name}.{key}": value for key, value in method_params.items()}
    return parameters | {f"train.{key}": value for key, value in params.model_dump().items()}


def _require_one_training(inputs: Inputs, state: Manifest, teacher: Manifest) -> None:
    if (state.parameters, state.inputs) != (teacher.parameters, teacher.inputs):
        task = inputs.task
        raise ArtifactError(
            f"{inputs.path(STATE, 'before')}: this state and the teacher come from different "
            f"trainings. Run `lamol snapshot {task}` to go on from the student on disk, or "
            f"{repro(TEACHER, task)} to train by params.yaml first; then the stages after it."
        )


def _require_same_kind(inputs: Inputs, adapter: AdapterParams) -> None:
    has_adapter = (inputs.path(TEACHER) / ADAPTER_CONFIG).is_file()
    if has_adapter != adapter.is_used:
        was = "with an adapter" if has_adapter else "as a whole"
        raise ConfigError(
            f"params.yaml: adapter.kind: {adapter.kind}, but {inputs.path(TEACHER)} was trained "
            f"{was}. Run `dvc repro`: a sequence is trained in one way from its first task on."
        )


def _require_mixed_for(inputs: Inputs, mix_manifest: Manifest, method: Method[Any]) -> None:
    mixed_for = str(mix_manifest.parameters.get("method"))
    other = METHODS.get(mixed_for)
    mine = method.rehearses, method.mixes_real_rows
    if other is None or (other.rehearses, other.mixes_real_rows) != mine:
        raise ArtifactError(
            f"{inputs.path(MIX)}: was made for {mixed_for}, which trains on other rows than "
            f"{method.name}. Run `dvc repro`, or `lamol generate`, `lamol audit` and `lamol mix` "
            f"with `method: {method.name}`."
        )


def _require_made_of(
    inputs: Inputs, artifact: Artifact, manifest: Manifest, made_of: dict[str, str]
) -> None:
    for name, expected in made_of.items():
        if manifest.inputs.get(name) != expected:
            raise ArtifactError(
                f"{inputs.path(artifact)}: was made from another version of {name}. "
                f"{remedy(artifact, inputs.task)}"
            )
