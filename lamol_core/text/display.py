"""Text as it is shown: characters that cannot be seen, by their code points."""

import unicodedata

from lamol_core.text.normalise import BLANKS

SHOWN_CONTROLS = frozenset("\n\t")
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, marks of direction, surrogates, private and unassigned characters, separators."""


def visible(text: str) -> str:
    """The text with every character that cannot be seen as its code point."""
    return "".join(
        f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(c):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
        if (unicodedata.category(c) in HIDDEN_CATEGORIES and c not in SHOWN_CONTROLS) or c in BLANKS
        else c
        for c in text
    )
