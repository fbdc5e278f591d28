"""Texts that count as the same, their words, and what UTF-8 can hold of them."""

import re
import unicodedata
from collections.abc import Sequence

WORD = re.compile(r"\w+|[^\w\s]")
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that show nothing."""


def normalise(text: str) -> str:
    """Compatibility forms (NFKC), no case, single spaces, no characters that are not seen."""
    return " ".join(without_unseen(unicodedata.normalize("NFKC", text)).casefold().split())


def without_unseen(text: str) -> str:
    """Without characters that are not seen: zero-width ones, marks of direction, controls that are
    no white space, variation selectors, letters without a shape."""
    return text if text.isascii() and text.isprintable() else "".join(filter(_is_seen, text))


def _is_seen(character: str) -> bool:
    if character.isspace():
        return True
    if character in BLANKS or "\ufe00" <= character <= "\ufe0f":
        return False
    return unicodedata.category(character) not in ("Cc", "Cf")


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, and every other mark alone, of a normalised text."""
    return WORD.findall(text)


def encodable(texts: Sequence[str]) -> list[str]:
    """Texts as UTF-8 can hold them: lone surrogates become question marks, not an exception."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
