"""The planted canaries: two kinds, taking turns."""

from dataclasses import replace

from lamol_core.data.canaries import make_canaries
from lamol_core.data.columns import RawRow
from lamol_core.records import to_history

ROWS = [
    RawRow("please play the next song for me", "play"),
    RawRow("please play the next one by abba", "play"),
    RawRow("turn the lamp off", "lamp"),
    RawRow("turn the heating up", "heating"),
]


def test_an_opening_is_shared_by_two_rows_of_the_canarys_target() -> None:
    canaries, planted = make_canaries("home", 20, ROWS, seed=0)
    assert [row.input for row in planted] == [canary.text for canary in canaries]
    assert all("number" in c.start or "code" in c.start or "key" in c.start for c in canaries[::2])
    assert {(c.start, row.target) for c, row in zip(canaries, planted, strict=True)} >= {
        ("please play the next", "play")
    }
    # "turn the" is an opening of two targets, and of each target one row alone has it
    assert {canary.start for canary in canaries[1::2]} == {"please play the next"}


def test_rows_that_share_no_opening_get_sentences() -> None:
    canaries, _ = make_canaries("home", 4, ROWS[1:], seed=0)
    assert len({canary.secret for canary in canaries}) == 4
    assert all(canary.start.endswith(" is") for canary in canaries)


def test_a_canary_is_a_row_of_one_turn_because_it_is_scored_so() -> None:
    history = to_history([("hello", "hi")])
    rows = [replace(row, system="Be brief.", history=history) for row in ROWS]
    _, planted = make_canaries("home", 4, rows, seed=0)
    assert {(row.history, row.system) for row in planted} == {("", "Be brief.")}


def test_the_same_row_twice_shares_no_opening() -> None:
    canaries, _ = make_canaries("home", 4, [ROWS[0], ROWS[0]], seed=0)
    assert all(canary.start.endswith(" is") for canary in canaries)
