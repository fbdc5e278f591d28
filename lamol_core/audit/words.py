"""Text as the checks compare it: without case and spacing, as words."""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"\w+|[^\w\s]")


def normalise(text: str) -> str:
    """Compatibility forms (NFKC), no case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, and every other mark alone, of a normalised text."""
    return WORD.findall(text)
