"""What params.yaml may say, with its defaults, as frozen pydantic models."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lamol_core.errors import ConfigError, did_you_mean

BASE = "base"
"""The name of what comes before the first task."""
RESERVED_NAMES = (BASE, "average")
"""Names that mean something else in the folders or in metrics.json."""
TASK_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,63}$")

Precision = Literal["auto", "fp32", "bf16"]
MethodName = Literal["lamol_kd", "lamol", "l2kd", "ewc", "derpp", "replay", "finetune", "multitask"]
METHOD_NAMES: tuple[MethodName, ...] = get_args(MethodName)
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
    limit_train: Annotated[int, Field(ge=1)] | None = None
    limit_test: Annotated[int, Field(ge=1)] | None = None


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
    batch_size: Annotated[int, Field(ge=1)] = 256
    max_attempts: Annotated[int, Field(ge=1)] = 5
    refill: bool = True
    unique: bool = False
    known_labels: bool = False
    self_consistent: bool = False
    draws_per_row: Annotated[int, Field(ge=1, le=100)] = 1
    balance_labels: bool = False
    carry_over: bool = False


class LamolParams(Section):
    """What methods share that write pseudo-samples: the GEN view, how many are drawn and how."""

    gen_weight: Annotated[float, Field(ge=0, alias="lambda")] = 0.25
    gamma: Annotated[float, Field(ge=0)] = 0.20
    topk: Annotated[int, Field(ge=1)] = 20
    use_task_specific_gen_token: bool = True
    rows_per_class: Annotated[int, Field(ge=0)] = 0


class LamolKdParams(LamolParams):
    distill_weight: Annotated[float, Field(ge=0)] = 1.0
    temperature: Annotated[float, Field(gt=0)] = 2.0
    alignment: Alignment = "next_token"


class EwcParams(Section):
    """The penalty's weight; rows of a task that its Fisher information is the mean over."""

    weight: Annotated[float, Field(ge=0)] = 5000.0
    fisher_rows: Annotated[int, Field(ge=1)] | None = 200


class ReplayParams(Section):
    """A reservoir of real rows, and how many of them each step of training sees."""

    buffer_size: Annotated[int, Field(ge=1)] = 200
    batch_size: Annotated[int, Field(ge=1)] = 32


class DerppParams(ReplayParams):
    alpha: Annotated[float, Field(ge=0)] = 0.5
    beta: Annotated[float, Field(ge=0)] = 0.5


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
    attention: Literal["auto", "packed", "eager", "sdpa"] = "auto"
    compile: Literal["auto", "always", "never"] = "auto"
    teacher_targets: Literal["offline", "online"] = "offline"
    gradient_checkpointing: bool = False


class EvaluateParams(Section):
    split: Literal["dev", "test"] = "test"
    batch_size: Annotated[int, Field(ge=1)] = 256
    max_target_tokens: Annotated[int, Field(ge=1)] = 64
    forward_transfer: bool = False


class Limit(Section):
    """Beyond `warn` a figure is worth a look, beyond `fail` the table is not fit for training."""

    warn: float
    fail: float
    sign: ClassVar[int] = 1
    """-1 where low figures are the bad ones."""

    @model_validator(mode="after")
    def _fail_is_beyond_warn(self) -> Self:
        if self.sign * self.fail < self.sign * self.warn:
            side = "below" if self.sign > 0 else "above"
            raise ValueError(
                f"fail {self.fail:g} is {side} warn {self.warn:g}, a figure would fail before it "
                "warns; swap them"
            )
        return self


class LowLimit(Limit):
    """Of a figure that is bad where it is low."""

    sign: ClassVar[int] = -1


class AuditLimits(Section):
    """The thresholds of the audit's figures; docs/audit.md defines each."""

    rejected_share: Limit = Limit(warn=0.3, fail=0.8)
    truncated_share: Limit = Limit(warn=0.1, fail=0.5)
    duplicate_excess: Limit = Limit(warn=0.2, fail=0.5)
    near_duplicate_excess: Limit = Limit(warn=0.3, fail=0.6)
    distinct_2_ratio: LowLimit = LowLimit(warn=0.6, fail=0.3)
    compression_ratio: LowLimit = LowLimit(warn=0.6, fail=0.3)
    self_bleu_excess: Limit = Limit(warn=20.0, fail=50.0)
    unknown_label_share: Limit = Limit(warn=0.02, fail=0.2)
    label_variation_excess: Limit = Limit(warn=0.1, fail=0.4)
    length_excess: Limit = Limit(warn=0.1, fail=0.4)
    disagreement_share: Limit = Limit(warn=0.2, fail=0.5)
    copied_excess: Limit = Limit(warn=0.01, fail=0.05)
    repeated_share: Limit = Limit(warn=0.0, fail=0.2)
    overlap_excess: Limit = Limit(warn=0.05, fail=0.15)
    extracted_share: Limit = Limit(warn=0.0, fail=0.01)
    personal_share: Limit = Limit(warn=0.0, fail=1.0)
    replayed_personal_share: Limit = Limit(warn=0.0, fail=0.0)
    drift_auc: Limit = Limit(warn=0.85, fail=0.98)
    broken_share: Limit = Limit(warn=0.0, fail=0.0)
    foreign_code: Limit = Limit(warn=0.0, fail=1.0)
    canary_share: Limit = Limit(warn=0.0, fail=0.1)
    exposure: Limit = Limit(warn=5.0, fail=8.0)


class AuditParams(Section):
    """What is asked of pseudo-samples before they are trained on."""

    gate: Literal["off", "warn", "fail"] = "warn"
    drop_flagged: bool = False
    ask_teacher: bool = False
    show_real_rows: bool = False
    min_rows: Annotated[int, Field(ge=1)] = 30
    canaries: Annotated[int, Field(ge=0, le=100)] = 0
    keep_fingerprint: bool = False
    phone_regions: tuple[str, ...] = ("US",)
    limits: AuditLimits = AuditLimits()

    @field_validator("gate", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: object) -> object:
        # YAML 1.1 reads the word `off` as false
        return "off" if value is False else value

    @field_validator("phone_regions", mode="before")
    @classmethod
    def _countries(cls, value: object) -> object:
        """Upper case; YAML 1.1 reads Norway's code as false."""
        if not isinstance(value, list | tuple):
            return value
        codes = tuple("NO" if one is False else str(one).upper() for one in value)
        if codes == ("US",):  # the usual one takes no library to check
            return codes
        from phonenumbers import SUPPORTED_REGIONS

        unknown = [code for code in codes if code not in SUPPORTED_REGIONS]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: no country of ISO 3166 in two letters, like US or GB"
            )
        return codes


class Params(Section):
    lamol_version: str | None = None
    seed: int = 0
    method: MethodName = "lamol_kd"
    tasks: dict[str, TaskParams]
    backbone: BackboneParams = BackboneParams()
    prepare: PrepareParams = PrepareParams()
    generate: GenerateParams = GenerateParams()
    lamol_kd: LamolKdParams = LamolKdParams()
    lamol: LamolParams = LamolParams()
    l2kd: LamolParams = LamolParams()
    ewc: EwcParams = EwcParams()
    derpp: DerppParams = DerppParams()
    replay: ReplayParams = ReplayParams()
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()
    audit: AuditParams = AuditParams()

    @property
    def method_block(self) -> Section | None:
        """The parameters of the chosen method; None where it has none of its own."""
        block = getattr(self, self.method, None)
        return block if isinstance(block, Section) else None

    def task(self, name: str) -> TaskParams:
        """The task's block. Raises ConfigError for a name that params.yaml does not have."""
        if name not in self.tasks:
            known = ", ".join(self.tasks) or "none"
            hint = did_you_mean(name, self.tasks)
            raise ConfigError(f"params.yaml: no task {name!r}{hint}. Its tasks are: {known}.")
        return self.tasks[name]
