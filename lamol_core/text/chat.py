"""Rows as conversations in a model's own chat template, without reserved tokens.

QA   user: x, assistant: y                          supervised: y and the end of its turn
GEN  system: the task, user: x, assistant: y        supervised: x, y and the ends of their turns
     system: the task and y, user: x                supervised: x and the end of its turn

Turns before x stand where the template has them. GEN supervises all of them, and its system message
says how many turns there are. QA supervises the last answer, or every answer.

What stands around the texts is given to the model. A template without a system role has its text
at the beginning of the user's turn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from lamol_core.errors import ConfigError
from lamol_core.text.chat_pieces import ChatPieces, specials_of
from lamol_core.text.normalise import encodable
from lamol_core.text.template import RowTemplate, TaskPrompts
from lamol_core.text.tokenizer import TextCodec, decoded

PROBES = ("a", "The", "1", "what", "é")
"""Texts that show which tokens before a text do not depend on it."""
NO_TURNS = (
    "params.yaml: backbone.path: conversations of several turns can't be learnt, because the "
    "model's chat template {}. Name another instruct model, or cut the conversations to one turn."
)
ONE_OF_A_TASK = "Write one user's message of the task {task!r} and the answer to it."
ONE_OF_A_LABEL = "Write one user's message of the task {task!r} whose answer is {label!r}."
ONE_WITH_LABEL = "Write one user's message whose answer is {label!r}."
ONE = "Write one user's message and the answer to it."
TURNS_OF_A_TASK = "Write a conversation of {num} turns of the task {task!r}."
TURNS = "Write a conversation of {num} turns."


class Turn:
    """Encodes the texts of one role where they stand: after `before` and before the special token
    `end`.

    `before` ends with the lead, the part after its last special token. Lead and text are encoded
    together, because a token can begin in one and end in the other. `gap` is white space that
    belongs to the text's ids, but not to the text."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, before: str, end: str, gap: str = ""
    ) -> None:
        self._tokenizer, self._end, self._gap = tokenizer, end, gap
        self._specials = specials_of(tokenizer)
        last = max(self._specials.finditer(before), key=re.Match.end, default=None)
        closed = last.end() if last else 0
        self._anchor, self._lead = last[0] if last else "", before[closed:]
        self._num_anchor = len(self._whole(self._anchor)["input_ids"])
        starts = [self._cut(text)[0] for text in PROBES]
        shared = min(starts, key=len)
        while not all(start[: len(shared)] == shared for start in starts):
            shared = shared[:-1]
        self._lead_ids = shared
        self.ids_before: tuple[int, ...] = (*self._whole(before[:closed])["input_ids"], *shared)
        """The ids before a text."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text. A special token's name in it is encoded as plain text."""
        start, ids = self._cut(text)
        known = len(self._lead_ids)
        if start[:known] != self._lead_ids or self._specials.search(text):
            plain = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)
            return list(plain["input_ids"])
        return [*start[known:], *ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without what a token holds of the lead."""
        rest = self._lead[len(decoded(self._tokenizer, self._lead_ids)) :]
        return decoded(self._tokenizer, ids).removeprefix(rest).removeprefix(self._gap)

    def _cut(self, text: str) -> tuple[list[int], list[int]]:
        """The ids of the lead that end before the text, and the other ids."""
        whole = self._whole(self._anchor + self._lead + self._gap + text + self._end)
        ids, offsets = whole["input_ids"][:-1], whole["offset_mapping"][:-1]
        first = len(self._anchor) + len(self._lead)
        # an anchor may take the white space after it, that of the text too
        places = range(self._num_anchor, len(ids))
        own = next((i for i in places if offsets[i][1] > first), len(ids))
        return ids[self._num_anchor : own], ids[own:]

    def _whole(self, text: str) -> Any:
        return self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)


class ChatTemplate(RowTemplate):
    """The template of a model, for the rows of a sequence's tasks."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        pieces: ChatPieces,
        prompts: TaskPrompts = TaskPrompts(),
    ) -> None:
        """A task without a system message is answered with the template's own."""
        super().__init__(prompts)
        self._tokenizer, self._pieces = tokenizer, pieces
        self._specials = specials_of(tokenizer)
        ends = [self._specials.match(text) for text in (pieces.header, pieces.after)]
        self._end_of_user, end_of_answer = (end[0] for end in ends if end)
        self.user = Turn(tokenizer, pieces.before, self._end_of_user)
        self.assistant = Turn(tokenizer, pieces.header, end_of_answer, pieces.gap)
        self.end_of_input, *header = self.assistant.ids_before
        self.end_of_lone_input, self.header = self.end_of_input, tuple(header)
        self._has_same_users = True
        if pieces.between is not None:
            later = Turn(tokenizer, pieces.between, self._end_of_user)
            self.between = later.ids_before[1:]  # the first one ends the answer
            # a row can lose its oldest turns: then a later text becomes the first
            texts = (*PROBES, " a")
            self._has_same_users = all(self.user.encode(x) == later.encode(x) for x in texts)
        self.end = tokenizer.get_vocab()[end_of_answer]
        special_ids = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        self.pad = self.end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.never_in_text = frozenset(special_ids - {self.end_of_input, self.end})
        self._before = {
            task: self._after_system(text) for task, text in prompts.systems.items() if text
        }
        self._prompts: dict[tuple[str, str, int], tuple[int, ...]] = {}

    def before_input(self, task: str) -> tuple[int, ...]:
        return self._before.get(task, self.user.ids_before)

    def draw_prompt(
        self, task: str, y: Sequence[int] = (), num_answers: int = 1
    ) -> tuple[int, ...]:
        asked = task, self.assistant.decode(y) if y else "", num_answers
        if asked not in self._prompts:
            self._prompts[asked] = self._prompt(*asked)
        return self._prompts[asked]

    def require_turns(self, task: str) -> None:
        problem = self._pieces.turns_problem(with_system=task in self._before)
        if not problem and not self._has_same_users:
            problem = "gives a user's text other tokens in the first turn than in later ones"
        if problem:
            raise ConfigError(NO_TURNS.format(problem))

    def _prompt(self, task: str, label: str, num_answers: int) -> tuple[int, ...]:
        asked, any_task = ONE_OF_A_TASK, ONE
        if label:
            asked, any_task = ONE_OF_A_LABEL, ONE_WITH_LABEL
        elif num_answers > 1:
            asked, any_task = TURNS_OF_A_TASK, TURNS
        text = asked if self._asked.names_task else any_task
        return self._after_system(text.format(task=task, label=label, num=num_answers))

    def _after_system(self, text: str) -> tuple[int, ...]:
        """The ids up to a user's text, after a system message."""
        # one that spells a special token must not have one, nor once the name inside is cut out
        while (plain := self._specials.sub("", text)) != text:
            text = plain
        text = text.strip() if "system" in self._pieces.trims else text
        before = self._pieces.before_system + text + self._pieces.after_system
        return Turn(self._tokenizer, before, self._end_of_user).ids_before


class ChatCodec(TextCodec):
    """Encodes and decodes texts where they stand in a conversation."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pieces: ChatPieces) -> None:
        super().__init__(tokenizer)
        self._pieces = pieces
        self._turns = ChatTemplate(tokenizer, pieces)

    @property
    def reserved(self) -> tuple[int, ...]:
        return ()

    def template(self, prompts: TaskPrompts = TaskPrompts()) -> RowTemplate:
        return ChatTemplate(self._tokenizer, self._pieces, prompts)

    def encode_inputs(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._turns.user.encode(self._as_rendered("user", x)) for x in encodable(texts)]

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        turn = self._turns.assistant
        return [turn.encode(self._as_rendered("assistant", y)) for y in encodable(texts)]

    def decode_input(self, ids: Sequence[int]) -> str:
        return self._as_rendered("user", self._turns.user.decode(ids))

    def decode_target(self, ids: Sequence[int]) -> str:
        return self._as_rendered("assistant", self._turns.assistant.decode(ids))

    def _as_rendered(self, role: str, text: str) -> str:
        return text.strip() if role in self._pieces.trims else text
