"""What a message must name: keys, paths, numbers, commands. How it says so is free."""

from __future__ import annotations

import re


def names(text: object, *parts: object) -> bool:
    """Whether a message names all of these, each as a whole: 'train.max' is not named by
    'train.max_length', nor 3 by 3.5 or 'tmp-3'."""
    return all(mentions(text, part) for part in parts)


def names_in_order(text: object, *parts: object) -> bool:
    """The same, one after another."""
    return re.search("(?s)" + ".*?".join(map(_whole, parts)), str(text)) is not None


def naming(*parts: object) -> str:
    """The same as a pattern, for `pytest.raises(..., match=naming(...))`."""
    return "(?s)" + "".join(f"(?=.*{_whole(part)})" for part in parts)


def mentions(text: object, part: object) -> int:
    """How many times it is named."""
    return len(re.findall(_whole(part), str(text)))


def _whole(part: object) -> str:
    text = str(part)
    before = r"(?<![\w./-])" if text[0].isdigit() else r"(?<![\w.-])" if _in_word(text[0]) else ""
    after = r"(?![\w-]|\.\w)" if _in_word(text[-1]) else ""
    return before + re.escape(text) + after


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"
