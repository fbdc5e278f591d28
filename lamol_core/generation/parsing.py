"""Split drawn ids at ANS into a sample, and find the reason to reject a malformed one."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lamol_core.text.normalise import is_blank
from lamol_core.text.template import ControlTokens


class Parsed(NamedTuple):
    """A drawn sequence, split at ANS. `reject_reason` is empty where the sample is valid."""

    input_ids: list[int]
    target_ids: list[int]
    input: str
    target: str
    reject_reason: str


def parse_sample(
    ids: Sequence[int], control: ControlTokens, decode: Callable[[Sequence[int]], str]
) -> Parsed:
    """Split ids (everything after GEN) at the first ANS, and check their form.

    `reject_reason` is the first of these that applies: no_eos (the length limit came first),
    no_ans, many_ans, control_token (PAD or GEN in the text), empty_input, empty_target (nothing
    that can be seen), broken_text (not valid UTF-8)."""
    ended = bool(ids) and ids[-1] == control.eos
    body = list(ids[:-1] if ended else ids)
    split = body.index(control.ans) if control.ans in body else len(body)
    x, y = body[:split], body[split + 1 :]
    input_text, target_text = decode(x), decode(y)
    applies = {
        "no_eos": not ended,
        "no_ans": control.ans not in body,
        "many_ans": control.ans in y,
        "control_token": not set(body).isdisjoint(control.never_in_text),
        "empty_input": is_blank(input_text),
        "empty_target": is_blank(target_text),
        "broken_text": "\ufffd" in input_text + target_text,
    }
    reason = next((reason for reason, found in applies.items() if found), "")
    return Parsed(x, y, input_text, target_text, reason)
