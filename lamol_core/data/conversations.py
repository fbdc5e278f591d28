"""Rows that are conversations, in the layouts that chat data sets have.

messages        [{"role": "system" | "user" | "assistant", "content": TEXT}, ...]
conversations   [{"from": "system" | "human" | "gpt", "value": TEXT}, ...] (ShareGPT)
instruction     {"instruction": TEXT, "input": TEXT, "output": TEXT} (Alpaca); instruction and input
                are the user's text, with a line end between them. "history", if it is there, holds
                the turns before: [[TEXT, TEXT], ...]

A column "system" beside them holds the system message.

The last answer is a row's target, the user's text before it the input, all before that the history.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeGuard

from lamol_core.data.columns import (
    Columns,
    RawRow,
    Table,
    broken_rows,
    checked,
    keep_rows,
    needed_columns,
    to_rows,
)
from lamol_core.records import in_pairs, to_history

ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "chatgpt": "assistant",
}  # fmt: skip
"""What the layouts call the roles."""
TOOLS = ("tool", "function", "function_call", "observation")
"""What they call those of a tool."""
LISTS = ("messages", "conversations", "conversation")
"""The columns that hold a list of messages."""


def rows_of(table: Table, columns: Columns) -> list[RawRow]:
    """The rows of a table: conversations, if it holds some and the columns of input and target are
    not named; otherwise those that `to_rows` makes.

    Raises SourceError as `to_rows` does, with every reason for which conversations cannot be
    learnt, and where their system messages differ."""
    column = conversations_in(table.columns, columns)
    if column is None:
        return to_rows(table, columns)
    rows: list[RawRow] = []
    wrong: dict[tuple[str, str], list[int]] = {}
    for number, cells in keep_rows(table, columns, columns.where):
        try:
            rows.append(read_conversation(cells, column))
            if rows[-1].system != rows[0].system:
                raise ValueError("has another system message than the rows before")
        except ValueError as error:
            fault = f"conversation {error}", f"column {column!r}"
            wrong.setdefault(fault, []).append(number)
    if wrong:
        raise broken_rows(table, wrong)
    return rows


def conversations_in(there: Collection[str], columns: Columns) -> str | None:
    """The column by which a table with these columns is known to hold conversations; None where it
    holds none, or the columns of input and target are named."""
    if {"input", "target"} & columns.model_fields_set or "target" in there:
        return None
    known = [name for name in LISTS if name in there]
    if {"instruction", "output"} <= set(there):
        known.append("instruction")
    return known[0] if known else None


def columns_to_read(there: Collection[str], columns: Columns) -> list[str]:
    """Those of a table's columns that its rows are made of."""
    column = conversations_in(there, columns)
    needed = needed_columns(columns)
    if column is not None:
        of_alpaca = ("input", "output", "history") if column == "instruction" else ()
        needed = [column, "system", *of_alpaca, *columns.where]
    return [name for name in dict.fromkeys(needed) if name in there]


def read_conversation(cells: Mapping[str, object], column: str) -> RawRow:
    """The conversation of a row, whose layout is known by `column`. Raises ValueError with the
    reason where it has none, or one that cannot be learnt."""
    beside = checked(_text(cells["system"])) if cells.get("system") else ""
    if column == "instruction":
        parts = [_text(cells.get(name)) for name in (column, "input") if cells.get(name)]
        text, answer = checked("\n".join(parts)), checked(_text(cells.get("output")))
        return RawRow(text, answer, beside, _alpaca_history(cells.get("history") or []))
    messages = cells.get(column)
    if not _is_list(messages) or not messages:
        raise ValueError("is no list of messages")
    turns = [_turn(message) for message in messages]
    system = turns.pop(0)[1] if turns[0][0] == "system" else ""
    roles = [role for role, _ in turns]
    if len(roles) < 2 or any(
        role != ("user", "assistant")[index % 2] for index, role in enumerate(roles)
    ):
        raise ValueError("does not go from a user's message to an answer, in turn,")
    if len(roles) % 2:
        raise ValueError("does not end with an answer")
    *history, (text, answer) = in_pairs([checked(text) for _, text in turns])
    system = checked(system) if system else beside
    if beside not in ("", system):
        raise ValueError("has another system message than its column 'system'")
    return RawRow(text, answer, system, to_history(history))


def _alpaca_history(turns: object) -> str:
    if not _is_list(turns):
        raise ValueError("has a history that is no list of turns")
    pairs = [tuple(map(_text, turn)) if _is_list(turn) else () for turn in turns]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("has a history whose turns are no pairs of a user's text and an answer")
    return to_history([(checked(user), checked(answer)) for user, answer in pairs])


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _turn(message: object) -> tuple[str, str]:
    """The role and the text of a message."""
    if not isinstance(message, Mapping):
        raise ValueError("holds a message that is no object")
    name = message.get("role", message.get("from"))
    if name in TOOLS or message.get("tool_calls") or message.get("function_call"):
        raise ValueError("has a tool call, which cannot be learnt,")
    if not isinstance(name, str) or name not in ROLES:
        raise ValueError(f"has a message of the role {name!r}, not of system, user or assistant,")
    return ROLES[name], _text(message.get("content", message.get("value")))


def _text(content: object) -> str:
    """A message's text, which may be cut into parts."""
    if _is_list(content):
        parts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        content = "".join(map(_text, parts)) if parts else None
    if content is None:
        raise ValueError("has a message without text")
    if not isinstance(content, str):
        raise ValueError(f"has a message that is a {type(content).__name__}, not a text,")
    return content
