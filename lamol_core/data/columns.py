"""Turn the cells of a source into (input, target) pairs: templates, `where` and limits."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import Field

from lamol_core.config.section import Count, Section
from lamol_core.errors import ConfigError, did_you_mean
from lamol_core.text.normalise import is_blank

Role = Literal["input", "target"]
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


class Columns(Section):
    """How the rows of a source become (input, target) pairs, and which rows are used.

    Attributes:
        input: The column of the inputs, or a template of columns such as `"{context} {question}"`.
        target: The column of the targets, or a template.
        where: For each column the value, or the list of values, that a row must have.
        max_targets: Keep the rows of so many targets, the first in alphabetical order.
        limit_per_target: Keep so many training rows of each target, the first.
        limit_train: Keep so many training rows, the first.
        limit_test: Keep so many test rows, the first.
    """

    input: str = "input"
    target: str = "target"
    where: dict[str, str | int | float | bool | list[str | int | float | bool]] = Field(default={})
    max_targets: Count | None = None
    limit_per_target: Count | None = None
    limit_train: Count | None = None
    limit_test: Count | None = None


class SourceError(ConfigError):
    """All problems of one source. `problems` has a sentence for each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def below(self, key: str) -> SourceError:
        """A SourceError with the same problems, each after `key`, a key of params.yaml."""
        return SourceError(f"{key}: {problem}" for problem in self.problems)


@dataclass(frozen=True)
class RawRow:
    """An (input, target) pair of texts, as the source has it. Neither is blank. In chat data
    `system` is the system message before them, and `history` the turns before the input, as
    `to_history` writes them."""

    input: str
    target: str
    system: str = ""
    history: str = ""


@dataclass(frozen=True)
class Table:
    """The cells of one split, `where` in messages. Each row has its number, counted in `unit`."""

    where: str
    unit: Literal["line", "row"]
    columns: Sequence[str]
    rows: Sequence[tuple[int, Mapping[str, object]]]
    text_only: bool = False
    """Whether every cell is a str (CSV, TSV). `Columns.where` is then compared as text."""
    hint: str = ""
    """Why a column may be missing, for the error message; "" where the reason is unknown."""


@dataclass(frozen=True)
class Template:
    """A column name, or text with `{column}` fields. A field is a column name, never an expression.

    `parts`: pairs of literal text and the column that follows it (None: no column)."""

    role: Role
    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, role: Role, text: str) -> Template:
        """Parse a template. Raises SourceError for stray braces, format specs, conversions, and a
        template without a column."""
        if "{" not in text and "}" not in text:
            return cls(role, (("", text),))
        try:
            parsed = list(string.Formatter().parse(text))
            names = [name for _, name, _, _ in parsed]
            if any(spec or conversion for _, _, spec, conversion in parsed):
                raise ValueError("a field may only be a column name")
            if "" in names or not any(names):
                raise ValueError("it names no column")
        except ValueError as error:
            raise SourceError(
                [
                    f"{role}: {text!r} is no template: {error}. Write a column name, or text with "
                    "{column} fields; write a literal brace as {{ or }}."
                ]
            ) from error
        return cls(role, tuple((literal, name) for literal, name, _, _ in parsed))

    @property
    def columns(self) -> list[str]:
        return [name for _, name in self.parts if name is not None]

    def fill(self, row: Mapping[str, object]) -> str:
        """The template's text for one row.

        Raises ValueError with the reason where a cell is missing or no text, or where the result is
        blank or not valid Unicode."""
        text = "".join(
            literal + (_cell_text(row.get(name)) if name is not None else "")
            for literal, name in self.parts
        )
        return checked(text)


def checked(text: str) -> str:
    """The text itself. Raises ValueError with the reason where it is blank or not valid Unicode."""
    if is_blank(text):
        raise ValueError("is empty")
    # one half of a surrogate pair (a broken JSON escape) cannot be stored as UTF-8
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("is not valid Unicode (half of a surrogate pair)")
    return text


def parse_templates(columns: Columns) -> list[Template]:
    """The templates of input and target, in this order. Raises one SourceError with every broken
    template."""
    given: dict[Role, str] = {"input": columns.input, "target": columns.target}
    return list(collect(given, Template.parse).values())


def needed_columns(columns: Columns) -> list[str]:
    """The columns that the templates and `where` use, each once, in order of first use."""
    named = [name for template in parse_templates(columns) for name in template.columns]
    return list(dict.fromkeys([*named, *columns.where]))


def to_rows(table: Table, columns: Columns) -> list[RawRow]:
    """The (input, target) pairs of the rows that `where` keeps, in the table's order.

    Raises SourceError with every missing column or every broken cell, and where no row is left."""
    templates, kept = parse_templates(columns), keep_rows(table, columns, needed_columns(columns))
    rows: list[RawRow] = []
    wrong: dict[tuple[str, str], list[int]] = {}
    for number, row in kept:
        texts = {}
        for template in templates:
            role = template.role
            try:
                texts[role] = template.fill(row)
            except ValueError as error:
                fault = f"{role} {error}", f"{role}: {getattr(columns, role)!r}"
                wrong.setdefault(fault, []).append(number)
        if len(texts) == len(templates):
            rows.append(RawRow(texts["input"], texts["target"]))
    if wrong:
        raise broken_rows(table, wrong)
    return rows


def broken_rows(table: Table, wrong: Mapping[tuple[str, str], Sequence[int]]) -> SourceError:
    """An error with a sentence for each fault. `wrong`: by reason and column, the rows' numbers."""
    return SourceError(
        f"{table.where}: the {reason} in {counted(len(numbers), 'row')}, first in {table.unit} "
        f"{numbers[0]} ({column}). Fix or delete {'it' if len(numbers) == 1 else 'them'}."
        for (reason, column), numbers in wrong.items()
    )


def keep_rows(
    table: Table, columns: Columns, needed: Iterable[str]
) -> list[tuple[int, Mapping[str, object]]]:
    """The rows that `where` keeps, in the table's order. Raises SourceError for each of the
    `needed` columns that is missing, and where no row is left."""
    absent = [name for name in needed if name not in table.columns]
    problems = [_no_column(table, name) for name in absent]
    if not table.rows and not (table.columns and absent):
        problems = [f"{table.where}: holds no rows."]
    if problems:
        raise SourceError(problems)
    kept = [(number, row) for number, row in table.rows if _wanted(row, columns, table.text_only)]
    if not kept:
        raise SourceError([_nothing_kept(table, columns)])
    return kept


def keep_targets(rows: dict[str, list[RawRow]], columns: Columns) -> dict[str, list[RawRow]]:
    """Keep the rows of `max_targets` targets: of the training targets, the first in alphabetical
    order.

    Raises SourceError where a split has no row with one of these targets."""
    if columns.max_targets is None:
        return rows
    stay = set(sorted({row.target for row in rows["train"]})[: columns.max_targets])
    rows = {s: [row for row in part if row.target in stay] for s, part in rows.items()}
    if empty := [split for split, part in rows.items() if not part]:
        raise SourceError(
            f"the {split} split has no row of the {len(stay)} targets that max_targets keeps. "
            "Raise max_targets, or leave the split out."
            for split in empty
        )
    return rows


def limit_rows(rows: dict[str, list[RawRow]], columns: Columns) -> dict[str, list[RawRow]]:
    """Apply `limit_per_target` and `limit_train` to the training rows, `limit_test` to the test
    rows. Each limit keeps the first rows."""
    if columns.limit_per_target is not None:
        seen: Counter[str] = Counter()
        limited = []
        for row in rows["train"]:
            seen[row.target] += 1
            if seen[row.target] <= columns.limit_per_target:
                limited.append(row)
        rows = {**rows, "train": limited}
    limits = {"train": columns.limit_train, "test": columns.limit_test}
    return {split: part[: limits.get(split)] for split, part in rows.items()}


def collect(items: Mapping[A, B], do: Callable[[A, B], C]) -> dict[A, C]:
    """Call `do(key, value)` for every item; returns the results by key. Raises one SourceError with
    the problems of all calls."""
    done: dict[A, C] = {}
    problems: list[str] = []
    for key, value in items.items():
        try:
            done[key] = do(key, value)
        except SourceError as error:
            problems += error.problems
    if problems:
        raise SourceError(problems)
    return done


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _cell_text(cell: object) -> str:
    if isinstance(cell, str):
        return cell
    # pandas writes a missing number as NaN, which alone differs from itself
    if cell is None or cell != cell:
        raise ValueError("is missing")
    if isinstance(cell, Mapping | Sequence | bytes):
        raise ValueError(f"is a {type(cell).__name__}, not a text,")
    return str(cell)


def _wanted(row: Mapping[str, object], columns: Columns, text_only: bool) -> bool:
    return all(
        any(_equal(row.get(name), value, text_only) for value in as_list(wanted))
        for name, wanted in columns.where.items()
    )


def as_list(wanted: object) -> list[object]:
    """The allowed values of a column of `where`, as a list."""
    return wanted if isinstance(wanted, list) else [wanted]


def _equal(cell: object, value: object, text_only: bool) -> bool:
    if text_only and isinstance(value, bool):
        return str(cell).casefold() == str(value).casefold()
    if text_only:
        return cell == str(value)
    # True == 1 in Python, but they are two values in a user's table
    return cell == value and isinstance(cell, bool) == isinstance(value, bool)


def _nothing_kept(table: Table, columns: Columns) -> str:
    held = []
    for name in columns.where:
        values = list(dict.fromkeys(repr(row.get(name))[:40] for _, row in table.rows))
        more = f" and {len(values) - 5} more" if len(values) > 5 else ""
        held.append(f"{name!r} holds {', '.join(values[:5])}{more}")
    return f"{table.where}: `where` keeps none of its {len(table.rows)} rows: {'; '.join(held)}."


def _no_column(table: Table, name: str) -> str:
    if table.hint:
        return f"{table.where}: no column {name!r}: {table.hint}"
    known = ", ".join(map(str, table.columns)) or "none"
    hint = did_you_mean(name, map(str, table.columns))
    return f"{table.where}: no column {name!r}{hint}. Its columns are: {known}."
