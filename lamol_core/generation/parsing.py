"""From drawn ids to a sample: the split at ANS, and the reason why a sample is rejected."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lamol_core.text.template import ControlTokens


class Parsed(NamedTuple):
    """A drawn sequence, split at ANS. `reject_reason` is empty for a valid one."""

    input_ids: list[int]
    target_ids: list[int]
    input: str
    target: str
    reject_reason: str


def parse_sample(
    ids: Sequence[int], control: ControlTokens, decode: Callable[[Sequence[int]], str]
) -> Parsed:
    """Split ids (all that followed GEN) at the first ANS, and check the form.

    The first reason that applies is taken: no_eos (the length limit came first), no_ans, many_ans,
    control_token (PAD or GEN in the text), empty_input, empty_target (white space alone),
    broken_text (not whole UTF-8).
    """
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
        "empty_input": not input_text.strip(),
        "empty_target": not target_text.strip(),
        "broken_text": "\ufffd" in input_text + target_text,
    }
    reason = next((reason for reason, found in applies.items() if found), "")
    return Parsed(x, y, input_text, target_text, reason)
