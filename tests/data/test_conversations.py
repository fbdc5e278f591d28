"""Chat data as people have it: messages, ShareGPT, Alpaca."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamol_core.data.columns import RawRow
from lamol_core.data.params import TaskParams
from lamol_core.data.prepare import find_facts
from lamol_core.data.sources.registry import read_source
from lamol_core.records import earlier_turns
from tests.data.sources import tables
from tests.data.sources.tables import make, pairs_of, problems
from tests.messages import names

Row = dict[str, Any]


def messages(*texts: str, system: str = "") -> list[Row]:
    """A system message, then user and assistant in turn."""
    roles = ["system"] * bool(system) + ["user", "assistant"] * len(texts)
    whole = [system] * bool(system) + list(texts)
    return [{"role": role, "content": text} for role, text in zip(roles, whole, strict=False)]


def share_gpt(rows: list[Row]) -> list[Row]:
    called = {"user": "human", "assistant": "gpt", "system": "system"}
    return [{"from": called[row["role"]], "value": row["content"]} for row in rows]


CHAT = [messages(f"ask {i}", f"told {i}", system="Be brief.") for i in range(4)]
LAYOUTS = {
    "messages": [{"messages": chat, "id": i} for i, chat in enumerate(CHAT)],
    "conversations": [{"conversations": share_gpt(chat)} for chat in CHAT],
}


def write(path: Path, rows: list[Row]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, **block: Any) -> dict[str, list[RawRow]]:
    kind = "parquet" if path.suffix == ".parquet" else "jsonl"
    return read_source(make(kind=kind, path=path.name, **block), path.parent)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_conversation_is_a_row_and_its_system_message_is_the_task_s(
    layout: str, suffix: str, tmp_path: Path
) -> None:
    rows = read(write(tmp_path / f"chat{suffix}", LAYOUTS[layout]))
    assert pairs_of(rows["train"]) == [(f"ask {i}", f"told {i}") for i in range(4)]
    block = TaskParams.model_validate({"after": "base", "source": {"kind": "demo", "task": "home"}})
    whole = {"train": rows["train"], "dev": [], "test": []}
    assert find_facts("chat", block, whole).system == "Be brief."


SEVERAL = [
    messages("hello", "hi", "ask", "told"),
    messages("ask", "told"),
    messages("a", "b", "c", "d", "ask", "told"),
]


def test_the_last_answer_is_the_target_and_what_is_before_is_history(tmp_path: Path) -> None:
    rows = [{"messages": SEVERAL[i % 3]} for i in range(10)]
    train = read(write(tmp_path / "a.jsonl", rows))["train"]
    assert {(row.input, row.target) for row in train} == {("ask", "told")}
    turns = [earlier_turns(row.history) for row in train[:3]]
    assert turns == [[("hello", "hi")], [], [("a", "b"), ("c", "d")]]
    block = TaskParams.model_validate({"after": "base", "source": {"kind": "demo", "task": "home"}})
    facts = find_facts("chat", block, {"train": train, "dev": [], "test": train[:1]})
    assert facts.num_answers == {1: 3, 2: 4, 3: 3} and facts.has_turns
    only = find_facts("chat", block, {"train": train[1:2], "dev": [], "test": train[1:2]})
    assert only.num_answers == {} and not only.has_turns
    held_out = find_facts("chat", block, {"train": train[1:2], "dev": [], "test": train[:1]})
    assert held_out.num_answers == {1: 1}, "some row has several turns"


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_instruction_and_input_are_the_user_s_text(suffix: str, tmp_path: Path) -> None:
    rows = [
        {"instruction": "add", "input": "1 and 2", "output": "3", "source": "a"},
        {"instruction": "greet", "input": "", "output": "hello", "source": "b"},
    ]
    path = write(tmp_path / f"alpaca{suffix}", rows)
    assert pairs_of(read(path)["train"]) == [("add\n1 and 2", "3"), ("greet", "hello")]
    assert pairs_of(read(path, where={"source": "b"})["train"]) == [("greet", "hello")]
    for row in rows:
        del row["input"]
    assert pairs_of(read(write(path, rows))["train"]) == [("add", "3"), ("greet", "hello")]


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_a_table_with_instruction_and_output_is_read_so_too(kind: str, tmp_path: Path) -> None:
    rows = [
        {"instruction": "add", "input": "1 and 2", "output": "3", "system": "Be brief."},
        {"instruction": "greet", "input": "", "output": "hello", "system": "Be brief."},
    ]
    tables.write(tmp_path / f"a.{kind}", rows)
    train = read_source(make(kind=kind, path=f"a.{kind}"), tmp_path)["train"]
    assert pairs_of(train) == [("add\n1 and 2", "3"), ("greet", "hello")]
    assert {row.system for row in train} == {"Be brief."}


def test_columns_that_are_named_win(tmp_path: Path) -> None:
    rows = [{"instruction": "add", "output": "3", "input": "x", "messages": CHAT[0]}]
    path = write(tmp_path / "a.jsonl", rows)
    assert pairs_of(read(path)["train"]) == [("ask 0", "told 0")]
    assert pairs_of(read(path, input="instruction", target="output")["train"]) == [("add", "3")]
    path = write(tmp_path / "b.jsonl", [{**row, "target": "y"} for row in rows])
    assert pairs_of(read(path)["train"]) == [("x", "y")]


def test_a_text_in_parts_is_joined(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "ask "}, {"type": "text", "text": "this"}]
    chat = [{"role": "user", "content": parts}, {"role": "assistant", "content": "told"}]
    path = write(tmp_path / "a.jsonl", [{"messages": chat}])
    assert pairs_of(read(path)["train"]) == [("ask this", "told")]


def test_half_a_letter_in_a_system_message_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"messages": messages("ask", "told", system="\ud83d")}])
    (problem,) = problems(make(kind="jsonl", path="a.jsonl"), tmp_path)
    assert names(problem, path, "messages", 1)


GOOD = {"messages": messages("ask", "told")}
BROKEN: dict[str, Any] = {
    "no list": "hello",
    "empty": [],
    "no answer": messages("ask"),
    "answer first": messages("ask", "told")[::-1],
    "ends with a question": messages("ask", "told", "again"),
    "blank turn": messages("ask", " ", "again", "so"),
    "a tool": [*messages("ask"), {"role": "tool", "content": "4"}],
    "a tool call": [
        *messages("ask"), {"role": "assistant", "content": "", "tool_calls": [{"id": 1}]},
    ],
    "a function call": [
        *messages("ask"), {"role": "assistant", "content": "so", "function_call": {"name": "f"}},
    ],
    "another role": [{"role": "critic", "content": "no"}],
    "no role": [{"content": "ask"}, {"content": "told"}],
    "no object": ["ask", "told"],
    "no text": [{"role": "user", "content": None}, {"role": "assistant", "content": "told"}],
    "a number": [{"role": "user", "content": 4}, {"role": "assistant", "content": "told"}],
    "a picture": [
        {"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": "told"},
    ],
    "blank": messages(" ", "told"),
    "another system message": messages("ask", "told", system="Be kind."),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_conversations_that_cannot_be_learnt_are_named_by_line(broken: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [GOOD, GOOD, {"messages": BROKEN[broken]}, GOOD])
    (problem,) = problems(make(kind="jsonl", path="a.jsonl"), tmp_path)
    assert names(problem, path, "messages", 3)


def test_splits_with_different_system_messages_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", [{"messages": CHAT[0]}])
    write(tmp_path / "test.jsonl", [GOOD])
    (problem,) = problems(make(kind="jsonl", path="."), tmp_path)
    assert names(problem, "test", "train")


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_columns_beside_a_conversation_are_read(suffix: str, tmp_path: Path) -> None:
    """As the data sets of LLaMA-Factory have them."""
    alpaca = {"instruction": "ask", "input": "it", "output": "told", "system": "Be brief."}
    turns = alpaca | {"history": [["first", "answer"]]}
    gpt = {"conversations": share_gpt(messages("ask", "told")), "system": "Be brief."}
    (row,) = read(write(tmp_path / f"a{suffix}", [turns]))["train"]
    assert (row.input, row.target, row.system) == ("ask\nit", "told", "Be brief.")
    assert earlier_turns(row.history) == [("first", "answer")]
    (row,) = read(write(tmp_path / f"b{suffix}", [gpt]))["train"]
    assert (row.input, row.system, row.history) == ("ask", "Be brief.", "")
    write(tmp_path / f"c{suffix}", [gpt, gpt | {"system": "Be long."}])
    source = make(kind="jsonl" if suffix == ".jsonl" else "parquet", path=f"c{suffix}")
    assert names("\n".join(problems(source, tmp_path)), "system message")


def test_two_system_messages_of_a_row_are_refused(tmp_path: Path) -> None:
    row = {"messages": messages("ask", "told", system="Be brief."), "system": "Be brief."}
    (same,) = read(write(tmp_path / "a.jsonl", [row]))["train"]
    assert same.system == "Be brief."
    path = write(tmp_path / "a.jsonl", [row, row | {"system": "Be long."}])
    (problem,) = problems(make(kind="jsonl", path="a.jsonl"), tmp_path)
    assert names(problem, path, "system", 2)


@pytest.mark.parametrize(
    "history",
    ["ask", ["ask"], [["ask"]], ["ab"], [["a", 1]], [3], [{"user": "a", "assistant": "b"}]],
)
def test_a_history_that_holds_no_turns_is_refused(history: Any, tmp_path: Path) -> None:
    row = {"instruction": "ask", "output": "told", "history": history}
    write(tmp_path / "a.jsonl", [row])
    assert problems(make(kind="jsonl", path="a.jsonl"), tmp_path)
