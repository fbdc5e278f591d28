"""A checkpoint's tokenizer without transformers, and the form in which a tokenizer gives texts
back.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer  # not transformers, which takes seconds to import

from lamol_core.text.normalise import encodable, is_blank, normalise

TOKENIZER = "tokenizer.json"


class Codec(Protocol):
    """Turns texts into token ids, without control tokens, and ids into text."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...
    def decode(self, ids: Sequence[int]) -> str: ...


class PlainCodec(Codec):
    """Encodes and decodes as TextCodec does, with the file tokenizer.json alone."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.encode_special_tokens = True  # what spells a control token becomes pieces
        self._tokenizer.no_truncation()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch(encodable(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)


def written_forms(texts: Iterable[str], codec: Codec) -> dict[str, str]:
    """Each text with its form after encoding and decoding, in which a model writes it: some
    tokenizers lower-case, or put spaces between marks.

    A text is left out where its form is blank, or is that of another text too."""
    distinct = list(dict.fromkeys(texts))
    forms = dict(zip(distinct, map(codec.decode, codec.encode(distinct)), strict=True))
    origins: dict[str, set[str]] = {}
    for text, form in forms.items():
        origins.setdefault(normalise(form), set()).add(normalise(text))
    return {
        text: form
        for text, form in forms.items()
        if len(origins[normalise(form)]) == 1 and not is_blank(form)
    }
