"""The two views of a row."""

from hypothesis import given
from hypothesis import strategies as st

from lamol_core.text.encoded import IGNORED
from lamol_core.text.template import NUM_CONTROL, ControlTokens, TaskPrompts, TokenTemplate

CONTROL = ControlTokens(ans=1, eos=0, pad=2, gen=3, gen_by_task=(4, 5))
TEMPLATE = TokenTemplate(CONTROL, TaskPrompts(["a", "b"]))
IDS = st.lists(st.integers(6, 50), max_size=12)


def test_views_are_those_of_the_table() -> None:
    qa, gen = TEMPLATE.row("r", "new", "b", [10, 11], [12]).views(("qa", "gen"))
    assert (qa.ids, qa.view, qa.row_id, qa.origin) == ((10, 11, 1, 12, 0), "qa", "r", "new")
    assert qa.labels == (*[IGNORED] * 3, 12, 0)
    assert (gen.ids, gen.view, gen.row_id, gen.origin) == ((5, 10, 11, 1, 12, 0), "gen", "r", "new")
    assert gen.labels == (IGNORED, 10, 11, 1, 12, 0)


@given(IDS, IDS)
def test_views_hold_each_id_once_and_the_target_is_always_supervised(
    x: list[int], y: list[int]
) -> None:
    shared = TokenTemplate(CONTROL, TaskPrompts(["a"], names_task=False))
    qa, gen = shared.row("r", "pseudo", "a", x, y).views(("qa", "gen"))
    assert gen.ids == (CONTROL.gen, *qa.ids)
    assert qa.ids.count(CONTROL.ans) == qa.ids.count(CONTROL.eos) == 1
    assert [label for label in qa.labels if label != IGNORED] == [*y, CONTROL.eos]
    assert (qa.num_supervised, gen.num_supervised) == (len(y) + 1, len(x) + len(y) + 2)
    for view in (qa, gen):
        assert len(view.ids) == len(x) + len(y) + NUM_CONTROL[view.view]


def test_a_target_that_comes_first_is_read_and_not_learnt() -> None:
    first = TokenTemplate(CONTROL, TaskPrompts(["a", "b"], target_first={"b"}))
    qa, gen = first.row("r", "new", "b", [10, 11], [12]).views(("qa", "gen"))
    assert [qa] == TEMPLATE.row("r", "new", "b", [10, 11], [12]).views(("qa",))
    assert gen.ids == (5, 12, CONTROL.gen, 10, 11, 0)
    assert gen.labels == (*[IGNORED] * 3, 10, 11, 0)
