"""Texts that count as the same."""

from __future__ import annotations

import unicodedata


def normalise(text: str) -> str:
    """Compatibility forms (NFKC), no case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
