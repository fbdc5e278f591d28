"""The rows that travel between stages, and the Arrow schemas of their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from inspect import get_annotations
from typing import Any, Literal, TypeVar, get_type_hints

import pyarrow as pa

R = TypeVar("R")

MixOrigin = Literal["new", "pseudo"]
Origin = Literal["new", "pseudo", "memory"]
"""Of a row in training. Rows of a method's memory are drawn there, step by step: no mix has them.
"""
View = Literal["qa", "gen"]
Targets = Literal["classes", "text"]
SPLITS = ("train", "dev", "test")
SCHEMA_VERSION = 2
SURPLUS = "surplus"
"""The reject_reason of a sample that is well formed and was not needed."""
PSEUDO_LABEL = -1
"""What the column label_idx_cil holds for a row that a model wrote."""


@dataclass(frozen=True)
class Example:
    """A real row: (x, y) and where it came from. `row_id` is unique over all tasks."""

    row_id: str
    task: str
    input: str
    target: str
    label_idx_cil: int


def row_id(task: str, split: str, number: int) -> str:
    """The id of a real row; `number` counts from 0 within the split."""
    return f"{task}/{split}/{number:06d}"


def pseudo_row_id(new_task: str, prompted: str, index: int, attempt: int) -> str:
    """The id of a draw for `new_task`, prompted with the token of the task `prompted`."""
    return f"{new_task}/pseudo/{prompted}/{index:06d}.{attempt}"


@dataclass(frozen=True)
class PseudoSample:
    """A row that the teacher wrote, kept whether it was valid or not.

    `row_id` is a `pseudo_row_id`; `source_task` is the task that it is a row of: another one than
    it was prompted for where `generate.known_labels` found its label to be that task's.
    `nll` is the mean negative log-likelihood of its tokens under the teacher, in nats.
    """

    row_id: str
    source_task: str
    gen_index: int
    attempt: int
    input: str
    target: str
    input_ids: list[int]
    target_ids: list[int]
    valid: bool
    reject_reason: str
    nll: float
    seed: int
    teacher_sha256: str
    label_idx_cil: int = PSEUDO_LABEL

    @property
    def prompted_task(self) -> str:
        """The task whose token it was prompted with; "" where its id is of another form."""
        parts = self.row_id.split("/")
        return parts[2] if len(parts) == 4 else ""


@dataclass(frozen=True)
class MixRow:
    """One row of a training set, by reference: no text of a real row leaves `data/`."""

    order: int
    origin: MixOrigin
    source_task: str
    row_id: str
    label_idx_cil: int


@dataclass(frozen=True)
class MemoryRow:
    """A REAL ROW that a method keeps after its task, by definition of the method.

    `slot` is its index in the memory, `gen_token` the GEN token of its task.
    """

    slot: int
    row_id: str
    input: str
    target: str
    input_ids: list[int]
    target_ids: list[int]
    gen_token: int


@dataclass(frozen=True)
class Prediction:
    """What the student answered to one test row; input and target stay in `data/`."""

    task: str
    row_id: str
    prediction: str
    score: float


@dataclass(frozen=True)
class TaskFacts:
    """What later stages need to know of a task besides its rows.

    `classes` are the names of its labels, none for free text; the first `num_learnt_classes` of
    them have training rows."""

    name: str
    metric: str
    targets: Targets
    classes: tuple[str, ...]
    num_rows: dict[str, int]
    num_learnt_classes: int | None = None
    """None: all of them."""

    @property
    def learnt_classes(self) -> tuple[str, ...]:
        """Those that a model can have learnt: no label that test or dev rows alone have."""
        return self.classes[: self.num_learnt_classes]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


ARROW: dict[Any, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    list[int]: pa.list_(pa.int32()),
}
"""The column type of a field's type; strings and literals are pa.string()."""


def schema_of(record: type, **other: pa.DataType) -> pa.Schema:
    """The schema of a table of these records: one column a field, `other` by name as given."""
    types = {name: ARROW.get(hint, pa.string()) for name, hint in get_type_hints(record).items()}
    return pa.schema(list((types | other).items()))


EXAMPLE_SCHEMA = schema_of(Example)
PSEUDO_SCHEMA = schema_of(PseudoSample, nll=pa.float32())
MIX_SCHEMA = schema_of(MixRow)
MEMORY_SCHEMA = schema_of(MemoryRow)
PREDICTION_SCHEMA = schema_of(Prediction)
FLAG_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("source_task", pa.string()),
        ("check", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("real_row_id", pa.string()),
        ("span_start", pa.int64()),
        ("span_words", pa.int64()),
    ]
)


def to_columns(records: Sequence[object], schema: pa.Schema) -> dict[str, list[Any]]:
    """Records of one dataclass as columns in the schema's order."""
    return {name: [getattr(record, name) for record in records] for name in schema.names}


def from_table(table: pa.Table, record: type[R]) -> list[R]:
    """The rows of a table as records of the dataclass whose fields are its columns."""
    columns = [table[name].to_pylist() for name in get_annotations(record)]
    return [record(*values) for values in zip(*columns, strict=True)]
