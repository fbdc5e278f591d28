"""Every reason for which a sample is rejected, and that exactly one is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamol_core.generation.parsing import parse_sample
from lamol_core.records import earlier_turns
from lamol_core.text.template import ControlTokens, TokenTemplate
from tests.fakes import Decodes, Turns

ANS, EOS, PAD, GEN = 1, 0, 2, 3
CONTROL = ControlTokens(ans=ANS, eos=EOS, pad=PAD, gen=GEN, gen_by_task=(4, 5))
TEMPLATE = TokenTemplate(CONTROL)
TEXT = {6: " ", 7: "\n", 8: "a", 9: "b", 10: "\ufffd", 11: "\u200b"}


def decode(ids) -> str:  # type: ignore[no-untyped-def]
    return "".join(TEXT.get(token, f"<{token}>") for token in ids)


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ([8, 9, ANS, 8, EOS], ""),
        ([6, 8, ANS, 6, 9, EOS], ""),
        ([8, 9, ANS, 8], "no_eos"),
        ([], "no_eos"),
        ([8, 9, EOS], "no_ans"),
        ([EOS], "no_ans"),
        ([8, ANS, 9, ANS, 8, EOS], "many_ans"),
        ([8, ANS, ANS, EOS], "many_ans"),
        ([8, PAD, ANS, 9, EOS], "control_token"),
        ([8, EOS, 9, ANS, 9, EOS], "control_token"),
        ([8, ANS, GEN, EOS], "control_token"),
        ([4, 8, ANS, 9, EOS], "control_token"),
        ([ANS, 9, EOS], "empty_input"),
        ([6, 7, ANS, 9, EOS], "empty_input"),
        ([8, ANS, EOS], "empty_target"),
        ([8, ANS, 7, EOS], "empty_target"),
        ([11, ANS, 9, EOS], "empty_input"),
        ([8, ANS, 11, 7, EOS], "empty_target"),
        ([8, ANS, 11, 9, EOS], ""),
        ([8, 10, ANS, 9, EOS], "broken_text"),
        ([8, ANS, 10, 9, EOS], "broken_text"),
    ],
)
def test_reasons(ids: list[int], reason: str) -> None:
    assert parse_sample(ids, TEMPLATE, Decodes(decode)).reject_reason == reason


def test_the_split_is_at_ans_and_eos_belongs_to_neither() -> None:
    parsed = parse_sample([8, 9, ANS, 9, 8, EOS], TEMPLATE, Decodes(decode))
    assert (parsed.input_ids, parsed.target_ids) == ([8, 9], [9, 8])
    assert (parsed.input, parsed.target) == ("ab", "ba")


def test_a_rejected_sample_keeps_what_was_written() -> None:
    parsed = parse_sample([8, 9, EOS], TEMPLATE, Decodes(decode))
    assert (parsed.input, parsed.target, parsed.reject_reason) == ("ab", "", "no_ans")


@given(st.lists(st.integers(0, 10), max_size=12))
def test_valid_means_well_formed_whatever_was_drawn(ids: list[int]) -> None:
    parsed = parse_sample(ids, TEMPLATE, Decodes(decode))
    well_formed = (
        ids[-1:] == [EOS]
        and ids.count(ANS) == 1
        and not {PAD, GEN, 4, 5, 10} & set(ids)
        and set(ids[: ids.index(ANS)]) - {6, 7}
        and set(ids[ids.index(ANS) + 1 : -1]) - {6, 7}
    )
    if EOS not in ids[:-1]:  # decoding stops at the first EOS
        assert (parsed.reject_reason == "") == bool(well_formed)


@pytest.mark.parametrize("one_end", [True, False])
@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ([8, "e", 4, 5, 9, 0, 4, 9, 9, "e", 4, 5, 8, 0], ""),
        ([8, "e", 4, 5, 9, 0], "no_ans"),
        ([8, "e", 4, 9, 9, 0, 4, 9, 9, "e", 4, 5, 8, 0], "no_ans"),
        ([8, "e", 4, 5, 9, 0, 5, 9, 9, "e", 4, 5, 8, 0], "no_ans"),
        ([8, "e", 4, 5, 9, 0, 4, 9, 9, "e", 4, 5, 8], "no_eos"),
        ([8, 2, "e", 4, 5, 9, 0, 4, 9, 9, "e", 4, 5, 8, 0], "control_token"),
        ([7, "e", 4, 5, 9, 0, 4, 9, 9, "e", 4, 5, 8, 0], "empty_input"),
        ([8, "e", 4, 5, 9, 0, 4, 7, "e", 4, 5, 8, 0], "empty_input"),
        ([8, "e", 4, 5, 7, 0, 4, 9, 9, "e", 4, 5, 8, 0], "empty_target"),
        ([8, "e", 4, 5, 10, 0, 4, 9, 9, "e", 4, 5, 8, 0], "broken_text"),
    ],
)
def test_every_turn_has_its_place_and_its_form(
    ids: list[int | str], reason: str, one_end: bool
) -> None:
    template = Turns(one_end)
    drawn = [template.end_of_input if i == "e" else int(i) for i in ids]
    parsed = parse_sample(drawn, template, Decodes(decode), num_answers=2)
    assert parsed.reject_reason == reason
    if not reason:
        assert (parsed.input_ids, parsed.target_ids) == ([9, 9], [8])
        assert parsed.history_ids == [[8], [9]]
        assert earlier_turns(parsed.history) == [("a", "b")]
