"""Normalise texts for comparison, split them into words, and make them valid UTF-8."""

import re
import unicodedata
from collections.abc import Sequence

WORD = re.compile(r"\w+|[^\w\s]")
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks without a visible shape."""


def normalise(text: str) -> str:
    """The text in NFKC, without case and invisible characters, with single spaces. Texts that are
    equal in this form count as the same."""
    return " ".join(without_unseen(unicodedata.normalize("NFKC", text)).casefold().split())


def without_unseen(text: str) -> str:
    """The text without invisible characters: zero-width ones, direction marks, controls that are no
    white space, variation selectors, letters without a shape."""
    return text if text.isascii() and text.isprintable() else "".join(filter(_is_seen, text))


def is_blank(text: str) -> bool:
    """Whether a text is empty, or holds only white space and invisible characters."""
    return not without_unseen(text).strip()


def _is_seen(character: str) -> bool:
    if character.isspace():
        return True
    if character in BLANKS or "\ufe00" <= character <= "\ufe0f":
        return False
    return unicodedata.category(character) not in ("Cc", "Cf")


def words_of(text: str) -> list[str]:
    """The words of a normalised text: runs of letters and digits, and each other mark alone."""
    return WORD.findall(text)


def encodable(texts: Sequence[str]) -> list[str]:
    """The texts with question marks in place of lone surrogates, which UTF-8 cannot encode."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
