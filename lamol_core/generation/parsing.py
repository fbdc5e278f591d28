"""Split drawn ids into a sample, and find the reason to reject a malformed one."""

from collections.abc import Sequence
from typing import NamedTuple

from lamol_core.records import to_history
from lamol_core.text.encoded import Decodes
from lamol_core.text.normalise import is_blank
from lamol_core.text.template import RowTemplate


class Parsed(NamedTuple):
    """A drawn sequence, split into x and y and the turns before them. `reject_reason` is empty
    where the sample is valid."""

    input_ids: list[int]
    target_ids: list[int]
    input: str
    target: str
    history: str
    history_ids: list[list[int]]
    reject_reason: str


def parse_sample(
    ids: Sequence[int],
    template: RowTemplate,
    codec: Decodes,
    target: Sequence[int] = (),
    num_answers: int = 1,
) -> Parsed:
    """Split ids (everything after the prompt) into x and y of each turn, and check their form.
    `target`: the ids of y where the prompt has it, and x alone was drawn. `num_answers`: how many
    turns are wanted.

    `reject_reason` is the first of these that applies to some turn: no_eos (the length limit came
    first), no_ans (no y, or no further x), many_ans (more than one), control_token (one of those
    that no text may hold), empty_input, empty_target (nothing that can be seen), broken_text (not
    valid UTF-8)."""
    end = template.end_of_lone_input if target else template.end
    ended = bool(ids) and ids[-1] == end
    rest, turns = list(ids[:-1] if ended else ids), list[tuple[list[int], list[int]]]()
    is_whole = True
    for left in reversed(range(0 if target else num_answers)):
        x, rest, has_y = _split(rest, template.end_of_input, template.header)
        y, goes_on = rest, True
        if left:
            y, rest, goes_on = _split(rest, template.end, template.between)
        turns.append((x, y))
        is_whole = has_y and goes_on
        if not is_whole:
            break
    if target:
        turns = [(rest, list(target))]
    texts = [(codec.decode_input(x), codec.decode_target(y)) for x, y in turns]
    marked = [token for x, y in turns for token in (*y, *(x if target else ()))]
    never = {*template.never_in_text, template.end}
    applies = {
        "no_eos": not ended,
        "no_ans": not is_whole,
        "many_ans": template.end_of_input in marked,
        "control_token": any(not never.isdisjoint(part) for turn in turns for part in turn),
        "empty_input": any(is_blank(text) for text, _ in texts),
        "empty_target": any(is_blank(answer) for _, answer in texts),
        "broken_text": any("\ufffd" in text for turn in texts for text in turn),
    }
    reason = next((reason for reason, found in applies.items() if found), "")
    before = [ids for turn in turns[:-1] for ids in turn]
    return Parsed(*turns[-1], *texts[-1], to_history(texts[:-1]), before, reason)


def _split(ids: list[int], token: int, after: Sequence[int]) -> tuple[list[int], list[int], bool]:
    """Split ids at the first `token`, which the ids `after` should follow: what is before it, what
    is behind both, and whether both are there."""
    if token not in ids:
        return ids, [], False
    place = ids.index(token) + 1
    following = ids[place : place + len(after)]
    return ids[: place - 1], ids[place + len(after) :], following == list(after)
