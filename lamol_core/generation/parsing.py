"""Split drawn ids into a sample, and find the reason to reject a malformed one."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from lamol_core.text.normalise import is_blank
from lamol_core.text.template import RowTemplate


class Decodes(Protocol):
    """What turns the ids of an input and of a target into text: a TextCodec."""

    def decode_input(self, ids: Sequence[int]) -> str: ...
    def decode_target(self, ids: Sequence[int]) -> str: ...


class Parsed(NamedTuple):
    """A drawn sequence, split into x and y. `reject_reason` is empty where the sample is valid."""

    input_ids: list[int]
    target_ids: list[int]
    input: str
    target: str
    reject_reason: str


def parse_sample(
    ids: Sequence[int], template: RowTemplate, codec: Decodes, target: Sequence[int] = ()
) -> Parsed:
    """Split ids (everything after the prompt) into x and y, and check their form. `target`: the ids
    of y where the prompt has it, and x alone was drawn.

    `reject_reason` is the first of these that applies: no_eos (the length limit came first), no_ans
    (no y), many_ans (more than one), control_token (one of those that no text may hold),
    empty_input, empty_target (nothing that can be seen), broken_text (not valid UTF-8)."""
    end = template.end_of_lone_input if target else template.end
    ended = bool(ids) and ids[-1] == end
    x, y = list(ids[:-1] if ended else ids), list(target)
    has_target = bool(target)
    if not target and template.end_of_input in x:
        split = x.index(template.end_of_input)
        x, rest = x[:split], x[split + 1 :]
        has_target = tuple(rest[: len(template.header)]) == template.header
        y = rest[len(template.header) :]
    input_text, target_text = codec.decode_input(x), codec.decode_target(y)
    applies = {
        "no_eos": not ended,
        "no_ans": not has_target,
        "many_ans": template.end_of_input in [*y, *(x if target else ())],
        "control_token": not set(template.never_in_text).isdisjoint([*x, *y]),
        "empty_input": is_blank(input_text),
        "empty_target": is_blank(target_text),
        "broken_text": "\ufffd" in input_text + target_text,
    }
    reason = next((reason for reason, found in applies.items() if found), "")
    return Parsed(x, y, input_text, target_text, reason)
