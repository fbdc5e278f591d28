"""From drawn ids to a sample: the split at ANS, and the reason why a sample is rejected."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lamol_core.text.template import ControlTokens


@dataclass(frozen=True)
class Parsed:
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

    Reasons: no_eos (the length limit came first), no_ans, many_ans, control_token (PAD or GEN in
    the text), empty_input, empty_target (nothing but white space), broken_text (not whole UTF-8).
    """
    ended = bool(ids) and ids[-1] == control.eos
    body = list(ids[:-1] if ended else ids)
    split = body.index(control.ans) if control.ans in body else len(body)
    x, y = body[:split], body[split + 1 :]
    input_text, target_text = decode(x), decode(y)
    if not ended:
        reason = "no_eos"
    elif control.ans not in body:
        reason = "no_ans"
    elif control.ans in y:
        reason = "many_ans"
    elif not set(body).isdisjoint(control.never_in_text):
        reason = "control_token"
    elif not input_text.strip():
        reason = "empty_input"
    elif not target_text.strip():
        reason = "empty_target"
    elif "\ufffd" in input_text + target_text:
        reason = "broken_text"
    else:
        reason = ""
    return Parsed(x, y, input_text, target_text, reason)
