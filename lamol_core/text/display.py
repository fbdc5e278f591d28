"""Show invisible characters of a text as their code points."""

import unicodedata

from lamol_core.text.normalise import BLANKS

SHOWN_CONTROLS = frozenset("\n\t")
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of invisible characters: controls, direction marks, surrogates, private and
unassigned characters, line and paragraph separators."""


def visible(text: str) -> str:
    """The text with every invisible character replaced by its code point (U+200B). Line ends and
    tabs stay."""
    return "".join(
        f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(c):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
        if (unicodedata.category(c) in HIDDEN_CATEGORIES and c not in SHOWN_CONTROLS) or c in BLANKS
        else c
        for c in text
    )
