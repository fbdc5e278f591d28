"""Text as the checks compare it: without case and spacing, as words."""

from __future__ import annotations

import re
import unicodedata

from lamol_core.text.normal import BLANKS

SHOWN_CONTROLS = frozenset("\n\t")
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, marks of direction, surrogates, private and unassigned characters, separators."""
WORD = re.compile(r"\w+|[^\w\s]")


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, and every other mark alone, of a normalised text."""
    return WORD.findall(text)


def visible(text: str) -> str:
    """The text with every character that cannot be seen as its code point."""
    return "".join(
        f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(c):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
        if (unicodedata.category(c) in HIDDEN_CATEGORIES and c not in SHOWN_CONTROLS) or c in BLANKS
        else c
        for c in text
    )
