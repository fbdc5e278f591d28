"""The constant texts of a model's chat template, found once by rendering it with marks."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from lamol_core.errors import ArtifactError, ConfigError, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PIECES = "chat_template_pieces.json"
"""The file beside a checkpoint's weights."""
DATE = "01 Jan 2025"
"""What templates that name the day are told, so that every run has the same prompts."""
NO_THINKING = "{%- set enable_thinking = false -%}"
FIXED_DATE = f"{{%- macro strftime_now(format) -%}}{DATE}{{%- endmacro -%}}"
MARKS = USER, ANSWER, NEXT_USER, NEXT_ANSWER, SYSTEM = (
    "MARKuserONE", "MARKanswerONE", "MARKuserTWO", "MARKanswerTWO", "MARKsystem",
)  # fmt: skip
MARK_OF = {"system": SYSTEM, "user": USER, "assistant": ANSWER}
LONG = [("user", USER), ("assistant", ANSWER)] * 12
"""A conversation that shows whether a template writes late turns as it writes early ones."""


@dataclass(frozen=True)
class ChatPieces:
    """The texts between those of a conversation. Each text is followed at once by a special token,
    which ends its turn.

    `before`: up to the first user's text. `before_system`, `after_system`: around a system message
    and up to the first user's text. `header`: from a user's text to the answer, as a prompt has it.
    `gap`: white space that rows have between header and answer. `between`: from an
    answer to the next user's text; None where the template renders an earlier turn in another
    way. `after`: what follows the last answer. `trims`: the roles whose texts lose white space
    at either end.
    `system_first`: whether a system message stands before the first of several turns."""

    before: str
    before_system: str
    after_system: str
    header: str
    gap: str
    between: str | None
    after: str
    trims: tuple[str, ...]
    system_first: bool

    def conversation(self, turns: Sequence[tuple[str, str]], system: str = "") -> str:
        """A conversation as text. `turns`: as (role, text), of user and assistant in turn."""
        begin = self.before_system + system + self.after_system if system else self.before
        users, answers = turns[::2], turns[1::2]
        written = [
            user + self.header + self.gap + answer
            for (_, user), (_, answer) in zip(users, answers, strict=True)
        ]
        return begin + (self.between or "").join(written) + self.after

    def turns_problem(self, with_system: bool) -> str:
        """What the template does that rows of several turns can't be made of; "" for nothing.
        `with_system`: of rows that have a system message."""
        if self.between is None:
            return "writes earlier turns otherwise than the last one"
        if with_system and not self.system_first:
            return "does not write a system message before the first of several turns"
        return ""

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / PIECES).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> ChatPieces | None:
        """The pieces of a checkpoint; None where its rows have reserved tokens."""
        path = folder / PIECES
        if not path.is_file():
            return None
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except ValidationError as error:
            raise ArtifactError(f"{path}: broken. Run `lamol backbone`.") from error


def find_pieces(tokenizer: PreTrainedTokenizerBase) -> ChatPieces:
    """Render the template with marks and split what comes out at them.

    Raises ConfigError for a tokenizer without a template, and for a template that fails, drops,
    repeats or reorders texts, whose prompt is not the beginning of the row, or whose turns do not
    end with a special token."""
    if not tokenizer.chat_template:
        raise _refused("its tokenizer has no chat template")
    turns = [("user", USER), ("assistant", ANSWER)]
    before, whole_header, after = _around(tokenizer, turns)
    header = _render(tokenizer, turns[:1], prompt=True).removeprefix(before + USER)
    gap = whole_header.removeprefix(header)
    if header + gap != whole_header or gap.strip():
        raise _refused("its chat template begins an answer otherwise in a row than in a prompt")
    for role, end in ("user", header), ("assistant", after):
        if not _first_special(tokenizer, end):
            written = specials_of(tokenizer).split(end)[0]
            raise _refused(
                f"its chat template ends the {role}'s turn with {written!r}, not with a special "
                "token"
            )
    # without a system role the user's turn carries the instruction
    before_system, after_system, has_system = before, "\n\n", False
    with suppress(ConfigError):
        before_system, after_system, *_ = _around(tokenizer, [("system", SYSTEM), *turns])
        has_system = True
    between = None
    with suppress(ConfigError):
        next_turns = [("user", NEXT_USER), ("assistant", NEXT_ANSWER)]
        *_, middle, _, _ = _around(tokenizer, [*turns, *next_turns])
        if _first_special(tokenizer, middle) == _first_special(tokenizer, after):
            between = middle
    own = ChatPieces(before, before_system, after_system, header, gap, between, after, (), False)
    if between is None or _render(tokenizer, LONG) != own.conversation(LONG):
        own = replace(own, between=None)
    else:
        own = replace(own, system_first=_has_system_first(tokenizer, own))
    return replace(own, trims=_trims(tokenizer, has_system, own.between is not None))


def _trims(
    tokenizer: PreTrainedTokenizerBase, has_system: bool, has_turns: bool
) -> tuple[str, ...]:
    """The roles whose texts lose white space at either end. Without a system role, its text is the
    beginning of the user's."""
    turns = LONG if has_turns else LONG[:2]
    trims = [role for role, _ in LONG[:2] if _changes_space(tokenizer, turns, role)]
    of_system = "user" in trims
    if has_system:
        of_system = _changes_space(tokenizer, [("system", SYSTEM), *LONG[:2]], "system")
    return (*["system"] * of_system, *trims)


def _changes_space(
    tokenizer: PreTrainedTokenizerBase, turns: Sequence[tuple[str, str]], role: str
) -> bool:
    """Whether a template changes white space at the beginning or the end of a role's texts."""
    mark, plain = MARK_OF[role], _render(tokenizer, turns)
    for space in " ", "\n":
        spaced = f"{space}{mark}{space}"
        others = [(one, spaced if one == role else text) for one, text in turns]
        if _render(tokenizer, others) != plain.replace(mark, spaced):
            return True
    return False


def _has_system_first(tokenizer: PreTrainedTokenizerBase, pieces: ChatPieces) -> bool:
    """Whether several turns after a system message are the pieces joined. True for a template
    without a system role: its text is part of the user's."""
    try:
        found = _render(tokenizer, [("system", SYSTEM), *LONG])
    except ConfigError:
        return True
    return found == pieces.conversation(LONG, SYSTEM)


def _refused(problem: str) -> ConfigError:
    return ConfigError(
        f"params.yaml: text.format: chat can't be used with this backbone, because {problem}. Use "
        "tokens, or name another instruct model in backbone.path."
    )


def _around(tokenizer: PreTrainedTokenizerBase, turns: Sequence[tuple[str, str]]) -> list[str]:
    """The texts before, between and after those of a conversation."""
    rest, found = _render(tokenizer, turns), []
    for _, mark in turns:
        head, seen, rest = rest.partition(mark)
        if not seen or any(other in head for other in MARKS):
            raise _refused("its chat template drops, changes or reorders messages")
        found.append(head)
    if any(mark in rest for mark in MARKS):
        raise _refused("its chat template repeats messages")
    return [*found, rest]


def _render(
    tokenizer: PreTrainedTokenizerBase, turns: Sequence[tuple[str, str]], prompt: bool = False
) -> str:
    messages = [{"role": role, "content": text} for role, text in turns]
    try:
        rendered = tokenizer.apply_chat_template(
            messages,
            chat_template=NO_THINKING + with_fixed_date(tokenizer),
            tokenize=False,
            add_generation_prompt=prompt,
            date_string=DATE,
        )
    except Exception as error:  # a template can raise anything
        raise _refused(f"its chat template can't be rendered ({first_line(error)})") from error
    return str(rendered)


def end_thinking(tokenizer: PreTrainedTokenizerBase) -> None:
    """Have a template that can make a model think make it answer at once, as rows train it to: who
    asks the student later need not know."""
    found = tokenizer.chat_template
    if isinstance(found, dict):  # several templates, by name
        tokenizer.chat_template = {name: _answering(template) for name, template in found.items()}
    elif found:
        tokenizer.chat_template = _answering(found)


def _answering(template: str) -> str:
    return NO_THINKING + template if "enable_thinking" in template else template


def with_fixed_date(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokenizer's chat template, in which every day is DATE."""
    return FIXED_DATE + str(tokenizer.get_chat_template())


def specials_of(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """A pattern that finds the names of special tokens."""
    added = tokenizer.added_tokens_decoder.values()
    names = sorted((token.content for token in added if token.special), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names)) or "(?!)")


def _first_special(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The special token that a text begins with; "" without one."""
    found = specials_of(tokenizer).match(text)
    return found[0] if found else ""
