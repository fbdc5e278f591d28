"""Texts that count as the same."""

from __future__ import annotations

import unicodedata


def normalise(text: str) -> str:
    """Compatibility forms (NFKC), no case, single spaces, no characters that are not seen."""
    return " ".join(without_unseen(unicodedata.normalize("NFKC", text)).casefold().split())


def without_unseen(text: str) -> str:
    """Without format characters: zero-width ones, marks of direction, soft hyphens."""
    if text.isascii():
        return text
    return "".join(c for c in text if unicodedata.category(c) != "Cf")
