"""params.yaml as one model, composed of the blocks that the packages declare."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import create_model, field_validator

from lamol_core.artifacts.spec import METHOD, TASK
from lamol_core.audit.params import AuditParams, ForgetParams
from lamol_core.config.loading import params_error, read_own_params, validate
from lamol_core.config.section import Section
from lamol_core.config.task_names import find_order_problems, find_task
from lamol_core.data.params import MixParams, PrepareParams, TaskParams
from lamol_core.errors import did_you_mean
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.generation.params import GenerateParams
from lamol_core.methods.registry import DEFAULT_METHOD, METHODS
from lamol_core.methods.spec import Method
from lamol_core.models.params import AdapterParams, BackboneParams
from lamol_core.text.params import TextParams
from lamol_core.training.params import TrainParams


class _Blocks(Section):
    """All blocks but those of the methods. `Params` adds one block for each method.

    Attributes:
        lamol_version: The version of lamol that the folder was made for, set by `lamol init`. It
            stands for the code outside a checkout.
        seed: The seed of mixing, sampling and training.
        method: The method. Its own block has its name.
        tasks: The tasks by name, each with the task before it.
        backbone: The model that the sequence begins with.
        text: How a row becomes tokens.
        prepare: How splits that a source lacks are cut off.
        generate: How pseudo-samples are drawn.
        audit: The audit of pseudo-samples and its limits.
        mix: Which pseudo-samples are trained on.
        train: How a student is trained.
        adapter: Whether all weights of a student are trained, or an adapter.
        evaluate: How a student is scored.
        forget: What `lamol forget` keeps.
    """

    lamol_version: str | None = None
    seed: int = 0
    method: str = DEFAULT_METHOD
    tasks: dict[str, TaskParams]
    backbone: BackboneParams = BackboneParams()
    text: TextParams = TextParams()
    prepare: PrepareParams = PrepareParams()
    generate: GenerateParams = GenerateParams()
    audit: AuditParams = AuditParams()
    mix: MixParams = MixParams()
    train: TrainParams = TrainParams()
    adapter: AdapterParams = AdapterParams()
    evaluate: EvaluateParams = EvaluateParams()
    forget: ForgetParams = ForgetParams()

    @field_validator("method")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in METHODS:
            raise ValueError(f"not one of {', '.join(METHODS)}{did_you_mean(name, METHODS)}")
        return name

    @property
    def chosen(self) -> Method[Any]:
        """The method that the key `method` names, made with its block."""
        return METHODS[self.method](getattr(self, self.method))

    def effective_params(self) -> dict[str, Any]:
        """All blocks as plain data, without those that do not act: of the methods that are not
        chosen, and of an adapter where there is none."""
        whole = self.model_dump(mode="json", by_alias=True)
        others = METHODS.keys() - {self.method}
        if not self.adapter.is_used:
            others.add("adapter")
        return {name: block for name, block in whole.items() if name not in others}

    def task(self, name: str) -> TaskParams:
        """The block of a task. Raises ConfigError where params.yaml has no such task."""
        return find_task(self.tasks, name)


if TYPE_CHECKING:
    Params = _Blocks
else:
    Params = create_model(
        "Params",
        __base__=_Blocks,
        **{name: (method.Params, method.Params()) for name, method in METHODS.items()},
    )


def load_params(path: Path, overrides: Iterable[str] = ()) -> Params:
    """Read and validate params.yaml. Raises ConfigError that names every wrong key, and where the
    file was made for another version of lamol."""
    overrides = list(overrides)
    params, problems = compose(read_own_params(path, overrides))
    if params is None or problems:
        raise params_error(problems, overridden=bool(overrides), path=path)
    return params


def compose(data: Mapping[str, Any]) -> tuple[Params | None, list[str]]:
    """Validate the plain data of params.yaml; returns Params (None where a block is wrong) and the
    problems, a sentence each. Sources are not opened."""
    params, problems = validate(Params, dict(data))
    tasks = data.get("tasks")
    if isinstance(tasks, Mapping):
        problems = list(dict.fromkeys([*problems, *find_order_problems(tasks)]))
    return params, problems


def read_blocks(
    data: Mapping[str, Any], names: Collection[str], task: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """The blocks that a stage declares (spec.py) and `lamol_version` by name, with defaults, and
    their problems, a sentence each.

    The blocks are {} where one of them is wrong."""
    keys = {name: name for name in ("lamol_version", *names) if name != TASK}
    if METHOD in keys:
        keys[METHOD] = str(data.get("method", DEFAULT_METHOD))
    given = {key: data[key] for key in keys.values() if key in data}
    if "tasks" in keys:
        params, problems = compose(given)
    else:
        tasks = {task: data["tasks"][task]} if TASK in names else {}
        params, problems = validate(Params, {**given, "tasks": tasks})
    if params is None:
        return {}, problems
    blocks = {name: getattr(params, key) for name, key in keys.items()}
    return blocks | ({TASK: params.task(task)} if TASK in names else {}), problems


def declared_params(blocks: Mapping[str, Any]) -> Params:
    """Params with the blocks that `read_blocks` returned; all other blocks have their defaults."""
    method = blocks["method"]
    return Params(**{method if name == METHOD else name: blocks[name] for name in blocks})


def find_block(data: Mapping[str, Any], name: str) -> Any:
    """One block of params.yaml, validated alone; None where it is wrong. Other blocks may be
    wrong."""
    params, _ = validate(Params, {"tasks": {}, name: data.get(name, {})})
    return None if params is None else getattr(params, name)


REMOVED: Mapping[str, Mapping[str, Any]] = {
    name: field.annotation.removed
    for name, field in Params.model_fields.items()
    if isinstance(field.annotation, type)
    and issubclass(field.annotation, Section)
    and field.annotation.removed
}
"""The keys of earlier versions by block, with their defaults. Runs of then are compared by them
too."""


def completed(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as plain data, with all defaults filled in, those of earlier versions too. They
    are returned unchanged where this version of lamol cannot read them."""
    known, gone = dict(params), {}
    for name, block in REMOVED.items():
        own = params.get(name)
        if isinstance(own, Mapping):
            known[name] = {key: value for key, value in own.items() if key not in block}
            gone[name] = {key: own.get(key, default) for key, default in block.items()}
    whole, _ = validate(Params, known)
    if whole is None:
        return params
    plain = whole.model_dump(mode="json", by_alias=True)
    return plain | {name: plain[name] | values for name, values in gone.items()}


def defaults() -> dict[str, Any]:
    """The default of every parameter as plain data, without tasks; of earlier versions too."""
    return dict(completed({"tasks": {}, **{name: {} for name in REMOVED}}))
