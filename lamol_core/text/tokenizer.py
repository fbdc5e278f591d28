"""The tokenizer of a checkpoint. Data is encoded as plain text, so it never yields control ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import count, takewhile

from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from lamol_core.errors import ArtifactError
from lamol_core.records import Conversation, earlier_turns
from lamol_core.text.encoded import Texts, Turns
from lamol_core.text.normalise import encodable
from lamol_core.text.template import ANS, ControlTokens, RowTemplate, TaskPrompts, TokenTemplate

PAD = "<|lamol:pad|>"
GEN = "<|lamol:gen|>"
FALLBACK_BYTE = re.compile("<0x[0-9A-F]{2}>")


def gen_token(task_index: int) -> str:
    return f"<|lamol:gen:{task_index}|>"


def reserved_tokens(max_tasks: int) -> list[str]:
    """The names of all reserved tokens, in the order of their ids."""
    return [ANS, PAD, GEN, *(gen_token(i) for i in range(max_tasks))]


class TextCodec:
    """Encodes plain text and decodes ids, for one tokenizer with reserved tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def control(self) -> ControlTokens:
        """The reserved tokens. Raises ArtifactError where the tokenizer has none."""
        return control_tokens(self._tokenizer)

    @property
    def eos(self) -> int:
        """The id that ends a text."""
        return int(self._tokenizer.eos_token_id)

    @property
    def pad(self) -> int:
        """The id that fills rows."""
        own = self._tokenizer.pad_token_id
        return self.eos if own is None else int(own)

    @property
    def reserved(self) -> tuple[int, ...]:
        """The ids of all tokens that `lamol backbone` added, in their order."""
        control = self.control
        return tuple(sorted((control.ans, *control.never_in_text)))

    def template(self, prompts: TaskPrompts = TaskPrompts()) -> RowTemplate:
        """How rows become token sequences. Raises ConfigError where a task has no reserved
        token."""
        return TokenTemplate(self.control, prompts)

    def encode_inputs(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text where an input stands."""
        return self.encode(texts)

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text where a target stands."""
        return self.encode(texts)

    def encode_history(self, history: str) -> Turns:
        """The ids of the turns before an input."""
        if not (turns := earlier_turns(history)):
            return []
        users, answers = zip(*turns, strict=True)
        inputs, targets = self.encode_inputs(users), self.encode_targets(answers)
        return list(zip(inputs, targets, strict=True))

    def encode_rows(self, rows: Sequence[Conversation]) -> list[Texts]:
        """The ids of each row's texts."""
        inputs = self.encode_inputs([row.input for row in rows])
        targets = self.encode_targets([row.target for row in rows])
        turns = [self.encode_history(row.history) for row in rows]
        return list(zip(turns, inputs, targets, strict=True))

    def decode_input(self, ids: Sequence[int]) -> str:
        """The text of an input's ids."""
        return self.decode(ids)

    def decode_target(self, ids: Sequence[int]) -> str:
        """The text of a target's ids."""
        return self.decode(ids)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without control tokens. A control token's name in a text is encoded
        as plain text."""
        if not texts:
            return []
        ids: list[list[int]] = self._tokenizer(
            encodable(texts), add_special_tokens=False, split_special_tokens=True,
            return_attention_mask=False, verbose=False,
        )["input_ids"]  # fmt: skip
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a sequence of ids; control tokens appear by their names."""
        return decoded(self._tokenizer, ids)

    def token_bytes(self, num_ids: int) -> list[bytes | None]:
        """The bytes that each id below `num_ids` writes; None for an id that the tokenizer lacks.

        White space that a decoder adds or removes is not considered; bytes beyond ASCII are exact.
        """
        to_bytes = _byte_reader(self._tokenizer)
        added = self._tokenizer.added_tokens_decoder
        tokens = self._tokenizer.convert_ids_to_tokens(
            list(range(min(num_ids, len(self._tokenizer))))
        )
        known = [
            token.encode() if index in added else None if token is None else to_bytes(token)
            for index, token in enumerate(tokens)
        ]
        return known + [None] * (num_ids - len(known))


def decoded(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of ids; special tokens appear by their names."""
    text = tokenizer.decode(
        list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    assert isinstance(text, str)
    return text


def _byte_reader(tokenizer: PreTrainedTokenizerBase) -> Callable[[str], bytes]:
    """A function that gives the bytes of a token. A vocabulary spells bytes as letters, as <0xNN>,
    or as plain text; the tokenizer's decoder says which."""
    decoder = repr(tokenizer.backend_tokenizer.decoder) if tokenizer.is_fast else ""
    if "ByteLevel" in decoder:
        byte_of = {letter: byte for byte, letter in bytes_to_unicode().items()}
        return lambda token: b"".join(
            bytes([byte_of[letter]]) if letter in byte_of else letter.encode() for letter in token
        )
    if "ByteFallback" in decoder:
        return lambda token: (
            bytes([int(token[3:5], 16)]) if FALLBACK_BYTE.fullmatch(token) else token.encode()
        )
    return str.encode


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> ControlTokens:
    """The ids of the tokenizer's reserved tokens. Raises ArtifactError where `lamol backbone` did
    not add them."""
    vocabulary = tokenizer.get_vocab()
    if ANS not in vocabulary or tokenizer.eos_token_id is None:
        raise ArtifactError(
            f"{tokenizer.name_or_path}: the tokenizer lacks lamol's reserved tokens. "
            "Run `lamol backbone` first."
        )
    gens = takewhile(vocabulary.__contains__, map(gen_token, count()))
    return ControlTokens(
        ans=vocabulary[ANS],
        eos=tokenizer.eos_token_id,
        pad=vocabulary[PAD],
        gen=vocabulary[GEN],
        gen_by_task=tuple(vocabulary[name] for name in gens),
    )
