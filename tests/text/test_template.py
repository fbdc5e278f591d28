"""The control tokens, and cutting that never touches the target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamol_core.errors import ConfigError
from lamol_core.text.template import (
    NUM_CONTROL,
    ControlTokens,
    End,
    TaskPrompts,
    TokenTemplate,
    cut_input,
)
from tests.fakes import Turns
from tests.messages import naming

CONTROL = ControlTokens(ans=1, eos=0, pad=2, gen=3, gen_by_task=(4, 5))
IDS = st.lists(st.integers(6, 50), max_size=12)


def test_tokens_of_tasks_in_learning_order() -> None:
    assert [CONTROL.gen_for(i, True) for i in (0, 1)] == [4, 5]
    assert [CONTROL.gen_for(i, False) for i in (0, 7)] == [3, 3]
    with pytest.raises(ConfigError, match=naming("backbone.max_tasks", 2, 3)):
        CONTROL.gen_for(2, True)
    assert set(CONTROL.never_in_text) == {2, 3, 4, 5}


@given(IDS, IDS, st.integers(4, 40))
def test_the_end_of_x_is_kept_and_the_target_whole(
    x: list[int], y: list[int], max_length: int
) -> None:
    if len(y) + 4 > max_length:
        named = ("text.max_length", max_length, "a/train/000007", len(y), len(y) + 4)
        with pytest.raises(ConfigError, match=naming(*named)):
            cut_input(x, y, max_length, "a/train/000007", NUM_CONTROL["gen"])
        return
    kept = cut_input(x, y, max_length, "a/train/000007", NUM_CONTROL["gen"])
    longest = len(kept) + len(y) + NUM_CONTROL["gen"]
    assert longest <= max_length
    assert list(kept) == x[len(x) - len(kept) :]
    if len(kept) < len(x):
        assert longest == max_length


def test_a_target_that_just_fits_leaves_one_token_of_x() -> None:
    assert cut_input([7, 8, 9], [6] * 4, 8, "a", 3) == [9]
    with pytest.raises(ConfigError, match=naming("text.max_length", 8, "a/train/000007")):
        cut_input([7, 8, 9], [6] * 5, 8, "a/train/000007", 3)


TURNS = st.lists(st.tuples(IDS, IDS), max_size=4)


@given(IDS, IDS, TURNS, st.integers(15, 60), st.booleans())
def test_the_oldest_turns_go_first_then_the_front_of_x(
    x: list[int], y: list[int], before: list[tuple[list[int], list[int]]], most: int, one_end: bool
) -> None:
    template = Turns(one_end, TaskPrompts(["a"]))
    if len(y) > most - 9:
        return
    row, was_cut = template.fitted_row("r", "new", "a", (before, x, y), most)
    history, kept = row.history, row.input_ids
    longest = max(len(view.ids) for view in row.views(("qa", "gen")))
    assert longest <= most
    assert list(history) == before[len(before) - len(history) :]
    assert list(kept) == x[len(x) - len(kept) :]
    assert was_cut == (len(history) < len(before) or len(kept) < len(x))
    if len(kept) < len(x):
        assert not history, "x is cut where no turn is left"
    if len(history) < len(before):
        more = template.row("r", "new", "a", kept, y, before[-len(history) - 1 :])
        assert more.num_longest > most


def test_a_drawn_sample_ends_with_its_last_answer() -> None:
    assert Turns(one_end=True).end_of_draw(False, 3) == End(0, 6)
    assert Turns(one_end=False).end_of_draw(False, 3) == End(0, 3)
    assert Turns(one_end=False).end_of_draw(True) == End(1, 1)


def test_reserved_tokens_have_no_place_for_several_turns() -> None:
    template = TokenTemplate(CONTROL, TaskPrompts(["a"]))
    with pytest.raises(ConfigError, match=naming("text.format", "chat")):
        template.row("r", "new", "a", [7], [8], [([9], [10])])
