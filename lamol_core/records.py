"""The records that stages pass on, and the Arrow schemas of their tables."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from inspect import get_annotations
from typing import Any, Literal, Protocol, TypeVar, get_args, get_type_hints

import pyarrow as pa

R = TypeVar("R")

MixOrigin = Literal["new", "pseudo"]
Origin = Literal["new", "pseudo", "memory"]
"""Where a training row comes from. "memory": from the method's own memory, step by step; a mix has
no such row."""
View = Literal["qa", "gen"]
Targets = Literal["classes", "text"]
SPLITS = ("train", "dev", "test")
SCHEMA_VERSION = 2
PSEUDO_LABEL = -1
"""The label_idx_cil of a row that a model wrote."""


@dataclass(frozen=True)
class Example:
    """A real row: (x, y), its task and its label. `row_id` is unique over all tasks. `history`: the
    turns before x, as `to_history` writes them."""

    row_id: str
    task: str
    input: str
    target: str
    label_idx_cil: int
    history: str = ""


def row_id(task: str, split: str, number: int) -> str:
    """The id of a real row. `number` counts from 0 within the split."""
    return f"{task}/{split}/{number:06d}"


def pseudo_row_id(new_task: str, prompted: str, index: int, attempt: int) -> str:
    """The id of a sample drawn for `new_task` with the GEN token of the task `prompted`."""
    return f"{new_task}/pseudo/{prompted}/{index:06d}.{attempt}"


@dataclass(frozen=True)
class PseudoSample:
    """A row that the teacher wrote. Rejected ones are kept too, with `valid` False and a reason.

    `row_id` is a `pseudo_row_id`. `source_task` is the task with whose GEN token it was drawn.
    `nll` is the mean negative log-likelihood per token under the teacher, in nats; those
    that a chat template puts between the texts count too. `history`: the turns before x;
    `history_ids` has the ids of each of their texts."""

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
    history: str = ""
    history_ids: list[list[int]] = field(default_factory=list)

    @property
    def prompted_task(self) -> str:
        """The task whose GEN token the sample was drawn with; "" where the id has another form."""
        parts = self.row_id.split("/")
        return parts[2] if len(parts) == 4 else ""


@dataclass(frozen=True)
class MixRow:
    """One row of a training set. It refers to its row by id, so no text of a real row leaves
    `data/`."""

    order: int
    origin: MixOrigin
    source_task: str
    row_id: str
    label_idx_cil: int


@dataclass(frozen=True)
class MemoryRow:
    """A REAL ROW that a method keeps after its task, because the method is defined so.

    `slot` is the row's index in the memory. `history` and `history_ids`: as in a PseudoSample."""

    slot: int
    row_id: str
    task: str
    input: str
    target: str
    input_ids: list[int]
    target_ids: list[int]
    history: str = ""
    history_ids: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class Prediction:
    """The student's answer to one test row. The row's input and target stay in `data/`."""

    task: str
    row_id: str
    prediction: str
    score: float


RowVerdict = Literal["canary", "personal", "copy", "edited", "wrong", "truncated", "repeat"]
ROW_VERDICTS: tuple[RowVerdict, ...] = get_args(RowVerdict)
"""What the audit calls a row that it flags; the first one counts where several fit."""
PRIVACY_VERDICTS: tuple[RowVerdict, ...] = ("canary", "personal", "copy", "edited")
"""Those of a row that may be a real one."""


@dataclass(frozen=True)
class Flag:
    """A row that a check of the audit flags, the reason, and what it calls the row. It holds no
    text of a real row."""

    row_id: str
    source_task: str
    check: str
    reason: str
    value: float = 0.0
    real_row_id: str = ""
    span_start: int = 0
    span_words: int = 0
    verdict: str = ""


@dataclass(frozen=True)
class TaskFacts:
    """The facts of a task that later stages need besides its rows.

    `classes`: the names of its labels, none for free text. `num_rows`: its rows by split."""

    name: str
    metric: str
    targets: Targets
    classes: tuple[str, ...]
    num_rows: dict[str, int]
    num_learnt_classes: int | None = None
    """How many of the first `classes` have training rows; None means all."""
    system: str = ""
    """The system message that all rows of a task of chat data share."""
    num_answers: dict[int, int] = field(default_factory=dict)
    """How many training rows have so many answers, by that number. Empty where every row of every
    split has one."""

    @property
    def has_turns(self) -> bool:
        """Whether some row has several turns."""
        return bool(self.num_answers)

    @property
    def learnt_classes(self) -> tuple[str, ...]:
        """The labels with training rows. A model cannot learn the others."""
        return self.classes[: self.num_learnt_classes]


Exchange = tuple[str, str]
"""A user's text, and the answer to it."""


class Conversation(Protocol):
    """A row of texts. `history`: the turns before its input."""

    @property
    def input(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def history(self) -> str: ...


def to_history(exchanges: Sequence[Exchange]) -> str:
    """The turns before a row's input as a JSON list of messages, oldest first; "" without any."""
    roles = "user", "assistant"
    messages = [
        {"role": role, "content": text}
        for exchange in exchanges
        for role, text in zip(roles, exchange, strict=True)
    ]
    return json.dumps(messages, ensure_ascii=False) if messages else ""


def earlier_turns(history: str) -> list[Exchange]:
    """The turns that `to_history` wrote. Raises ValueError for a text that has none."""
    try:
        messages = json.loads(history) if history else []
        texts = [message["content"] for message in messages]
        exchanges = in_pairs(texts)
        is_list = json.loads(to_history(exchanges) or "[]") == messages
        is_list = is_list and all(isinstance(text, str) for text in texts)
    except (ValueError, TypeError, KeyError, RecursionError):
        is_list = False
    if not is_list:
        raise ValueError("is no list of messages of user and assistant in turn")
    return exchanges


def in_pairs(items: Sequence[R]) -> list[tuple[R, R]]:
    """Items of a user and of an assistant in turn, two and two. Raises ValueError where one is
    left."""
    return list(zip(items[::2], items[1::2], strict=True))


def all_texts(row: Conversation) -> list[str]:
    """Every text of a row: its earlier turns, its input, its target."""
    return [*(text for turn in earlier_turns(row.history) for text in turn), row.input, row.target]


def inputs_of(text: str, history: str) -> list[str]:
    """Every text of the user in a row with this input and history."""
    return [*(user for user, _ in earlier_turns(history)), text]


def asked_text(row: Conversation) -> str:
    """All that a row's target answers, its earlier turns and its input, as one text of lines."""
    return "\n".join(all_texts(row)[:-1])


ARROW: dict[Any, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    list[int]: pa.list_(pa.int32()),
}
"""The Arrow type for a field's Python type. All other types become pa.string()."""
OF_TURNS = pa.schema([("history", pa.string()), ("history_ids", pa.list_(pa.list_(pa.int32())))])
"""Columns that a table has only where one of its rows has several turns."""


def schema_of(record: type, **other: pa.DataType) -> pa.Schema:
    """The Arrow schema of a dataclass, with one column for each field but those of OF_TURNS.
    `other`: types of columns by name, instead of the usual ones."""
    types = {name: ARROW.get(hint, pa.string()) for name, hint in get_type_hints(record).items()}
    return pa.schema([item for item in (types | other).items() if item[0] not in OF_TURNS.names])


def with_turns(schema: pa.Schema, names: Container[str]) -> pa.Schema:
    """A schema with those columns of OF_TURNS that are named."""
    return pa.schema([*schema, *(column for column in OF_TURNS if column.name in names)])


EXAMPLE_SCHEMA = schema_of(Example)
PSEUDO_SCHEMA = schema_of(PseudoSample, nll=pa.float32())
MIX_SCHEMA = schema_of(MixRow)
MEMORY_SCHEMA = schema_of(MemoryRow)
PREDICTION_SCHEMA = schema_of(Prediction)
FLAG_SCHEMA = schema_of(Flag)


def to_columns(records: Sequence[object], schema: pa.Schema) -> dict[str, list[Any]]:
    """Records of one dataclass as columns by name, in the order of the schema."""
    return {name: [getattr(record, name) for record in records] for name in schema.names}


def from_table(table: pa.Table, record: type[R]) -> list[R]:
    """The rows of a table as records. The fields of the dataclass name the columns, of which those
    of OF_TURNS may be missing."""
    known = get_annotations(record)
    names = [name for name in known if name in table.column_names or name not in OF_TURNS.names]
    columns = [table[name].to_pylist() for name in names]
    return [record(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
