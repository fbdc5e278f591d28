"""params.yaml as frozen pydantic models. Unknown keys are errors; all errors are told at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from lamol_core.errors import ConfigError

BASE = "base"
"""The name of what comes before the first task."""
RESERVED_NAMES = (BASE, "average")
"""Names that mean something else in the folders or in metrics.json."""
TASK_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,63}$")

Precision = Literal["auto", "fp32", "bf16"]
MethodName = Literal["lamol_kd", "lamol", "finetune", "multitask"]
MetricName = Literal["auto", "accuracy", "token_f1", "rouge_l", "joint_slots"]
Alignment = Literal["next_token", "reference"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Columns(Section):
    """How rows of a source become pairs: column names or templates, and which rows count."""

    input: str = "input"
    target: str = "target"
    where: dict[str, str | int | float | bool | list[str | int | float | bool]] = {}
    max_targets: Annotated[int, Field(ge=1)] | None = None
    limit_per_target: Annotated[int, Field(ge=1)] | None = None


class DemoSource(Columns):
    """One task of the bundled corpus."""

    kind: Literal["demo"]
    task: str


class FileSource(Columns):
    """One file (its dev and test splits are cut off), or a folder with train.*, dev.*, test.*."""

    kind: Literal["jsonl", "csv", "tsv", "parquet"]
    path: str


class HubSource(Columns):
    """A data set of the hub, by `datasets.load_dataset`; splits it lacks are null."""

    kind: Literal["hub"]
    path: str
    name: str | None = None
    revision: str | None = None
    train: str = "train"
    dev: str | None = None
    test: str | None = None


Source = Annotated[DemoSource | FileSource | HubSource, Field(discriminator="kind")]


class TaskParams(Section):
    after: str
    source: Source
    metric: MetricName = "auto"
    targets: Literal["auto", "classes", "text"] = "auto"


class PrepareParams(Section):
    """Cutting a dev or test split that a source lacks off its training rows."""

    dev_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    split_seed: int = 0


class NanoParams(Section):
    """A small Llama with random weights and its own byte-level BPE."""

    hidden_size: Annotated[int, Field(ge=16, multiple_of=8)] = 128
    layers: Annotated[int, Field(ge=1)] = 4
    heads: Annotated[int, Field(ge=1)] = 4
    vocab_size: Annotated[int, Field(ge=300)] = 2048
    max_positions: Annotated[int, Field(ge=32)] = 512
    seed: int = 0
    corpus: list[Source] = []

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden_size % self.heads or (self.hidden_size // self.heads) % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} over {self.heads} heads is no even whole number"
            )
        return self


class BackboneParams(Section):
    kind: Literal["nano", "hub", "folder", "gguf"] = "nano"
    path: str | None = None
    revision: str | None = None
    max_tasks: Annotated[int, Field(ge=1, le=1000)] = 32
    ans_text: str = "answer"
    gen_text: str = "example"
    nano: NanoParams = NanoParams()


class GenerateParams(Section):
    format: Literal["constrain", "reject"] = "constrain"
    max_input_tokens: Annotated[int, Field(ge=1)] = 64
    max_target_tokens: Annotated[int, Field(ge=1)] = 32
    batch_size: Annotated[int, Field(ge=1)] = 64
    max_attempts: Annotated[int, Field(ge=1)] = 5


class ReplayParams(Section):
    """What `lamol` and `lamol_kd` share: the GEN view and the pseudo-samples."""

    gen_weight: Annotated[float, Field(ge=0, alias="lambda")] = 0.25
    gamma: Annotated[float, Field(ge=0)] = 0.20
    topk: Annotated[int, Field(ge=1)] = 20
    use_task_specific_gen_token: bool = True


class LamolKdParams(ReplayParams):
    distill_weight: Annotated[float, Field(ge=0)] = 1.0
    temperature: Annotated[float, Field(gt=0)] = 2.0
    alignment: Alignment = "next_token"


class TrainParams(Section):
    epochs: Annotated[int, Field(ge=1)] = 5
    steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] = 32
    micro_batch_tokens: Annotated[int, Field(ge=1)] = 2048
    max_length: Annotated[int, Field(ge=8)] = 256
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    warmup_fraction: Annotated[float, Field(ge=0, le=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    precision: Precision = "auto"
    attention: Literal["auto", "eager", "sdpa"] = "auto"


class EvaluateParams(Section):
    split: Literal["dev", "test"] = "test"
    batch_size: Annotated[int, Field(ge=1)] = 64
    max_target_tokens: Annotated[int, Field(ge=1)] = 64


class Params(Section):
    lamol_version: str | None = None
    seed: int = 0
    method: MethodName = "lamol_kd"
    tasks: dict[str, TaskParams]
    backbone: BackboneParams = BackboneParams()
    prepare: PrepareParams = PrepareParams()
    generate: GenerateParams = GenerateParams()
    lamol_kd: LamolKdParams = LamolKdParams()
    lamol: ReplayParams = ReplayParams()
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()

    def task(self, name: str) -> TaskParams:
        """The task's block. Raises ConfigError for a name that params.yaml does not have."""
        if name not in self.tasks:
            known = ", ".join(self.tasks) or "none"
            hint = _did_you_mean(name, self.tasks)
            raise ConfigError(f"params.yaml: no task {name!r}{hint}. Its tasks are: {known}.")
        return self.tasks[name]


def read_params(path: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """params.yaml as plain data, with `key.sub=value` overrides laid over it (values are YAML).

    Raises ConfigError when the file is missing or is not a YAML mapping.
    """
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file. Run in the folder of a sequence, or make one: `lamol init DIR`."
        )
    yaml = YAML(typ="safe")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"))
    except DuplicateKeyError as error:
        raise ConfigError(f"{path}: {_twice(path)}. Rename or delete one.") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {_one_line(error)}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a mapping with at least `tasks:` is expected.")
    for override in overrides:
        _apply_override(data, override, yaml)
    return data


def load_params(path: Path, overrides: Iterable[str] = ()) -> Params:
    """Read, check and freeze params.yaml. Raises ConfigError that names every wrong key."""
    data = read_params(path, overrides)
    problems = find_problems(data)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"{path}: {len(problems)} to mend:\n{listed}")
    return Params.model_validate(data)


def find_problems(data: Mapping[str, Any]) -> list[str]:
    """All that is wrong with the text of params.yaml, one sentence each; sources are not opened."""
    problems: list[str] = []
    try:
        Params.model_validate(dict(data))
    except ValidationError as error:
        problems += [_sentence(dict(detail)) for detail in error.errors()]
    tasks = data.get("tasks")
    if isinstance(tasks, Mapping):
        problems += find_order_problems(tasks)
    return problems


def find_order_problems(tasks: Mapping[Any, Any]) -> list[str]:
    """Names outside the pattern, unknown predecessors, cycles."""
    problems = [] if tasks else ["tasks: no task is listed."]
    for name, task in tasks.items():
        if not isinstance(name, str) or not TASK_NAME.fullmatch(name) or name in RESERVED_NAMES:
            problems.append(
                f"tasks.{name}: not a task name (wanted {TASK_NAME.pattern}, and none of "
                f"{', '.join(RESERVED_NAMES)})."
            )
        after = _after(task)
        if after is not None and after != BASE and after not in tasks:
            hint = _did_you_mean(str(after), [*map(str, tasks), BASE])
            problems.append(f"tasks.{name}.after: there is no task {after!r}{hint}.")
    return problems + [
        f"tasks: {' -> '.join(map(str, cycle))} is a cycle; one of them must be after {BASE!r}."
        for cycle in _cycles(tasks)
    ]


def _after(task: Any) -> str | None:
    """The predecessor that a task's block names, if it names one as it should."""
    after = task.get("after") if isinstance(task, Mapping) else None
    return after if isinstance(after, str) else None


def _cycles(tasks: Mapping[Any, Any]) -> list[list[Any]]:
    cycles: list[list[Any]] = []
    done: set[Any] = set()
    for start in tasks:
        path: list[Any] = []
        name = start
        while name in tasks and name not in done and name not in path:
            path.append(name)
            name = _after(tasks[name])
        if name in path:
            cycles.append([*path[path.index(name) :], name])
        done.update(path)
    return cycles


def _sentence(detail: dict[str, Any]) -> str:
    location = [str(part) for part in detail["loc"]]
    # pydantic names the member of a union in the path: that is no key of the user's file
    if location[0] == "tasks" and location[2:3] == ["source"]:
        del location[3:4]
    if location[:3] == ["backbone", "nano", "corpus"]:
        del location[4:5]
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key{_did_you_mean(location[-1], _known_keys())}."
    if detail["type"] == "missing":
        return f"{key}: missing."
    given = repr(detail.get("input"))
    shown = given if len(given) <= 60 else given[:57] + "..."
    return f"{key}: {detail['msg']} (given: {shown})."


def _known_keys() -> set[str]:
    keys: set[str] = set()
    for model in (
        Params, TaskParams, PrepareParams, NanoParams, BackboneParams, GenerateParams,
        LamolKdParams, TrainParams, EvaluateParams, DemoSource, FileSource, HubSource,
    ):  # fmt: skip
        keys |= {field.alias or name for name, field in model.model_fields.items()}
    return keys


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, [str(k) for k in known], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _apply_override(data: dict[str, Any], override: str, yaml: YAML) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override}: wanted key=value, like lamol_kd.temperature=4.")
    node = data
    *parents, last = key.split(".")
    for part in parents:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: {part!r} is a value, it has no keys below it.")
        node = child
    try:
        node[last] = yaml.load(text)
    except YAMLError as error:
        raise ConfigError(
            f"--set {override}: the value is not YAML: {_one_line(error)}."
        ) from error


def _twice(path: Path) -> str:
    """Which keys a YAML file lists twice, each with its place."""
    found: list[str] = []

    def walk(node: Any, above: tuple[str, ...]) -> None:
        lines: dict[str, int] = {}
        for key, value in node.value if isinstance(node, MappingNode) else ():
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                what = "task" if above == ("tasks",) else "key"
                shown = name if what == "task" else ".".join((*above, name))
                found.append(f"{what} {shown!r} is listed twice (lines {lines[name]} and {line})")
            lines[name] = line
            walk(value, (*above, name))
        for item in node.value if isinstance(node, SequenceNode) else ():
            walk(item, above)

    walk(YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8")), ())
    return "; ".join(found)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
