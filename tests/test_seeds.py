"""Seeds: fixed for ever by their names, independent of each other."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lamol_core.seeds import derive_seed


def test_the_value_never_changes() -> None:
    # the first 8 bytes, halved, of: `printf '0\x1ftrain\x1fhome' | sha256sum`
    assert derive_seed(0, "train", "home") == 0xBDEF09FBD9DF3CD1 >> 1


@given(st.integers(), st.lists(st.text() | st.integers(), max_size=4))
def test_range_and_repetition(seed: int, names: list[str | int]) -> None:
    derived = derive_seed(seed, *names)
    assert 0 <= derived < 2**63
    assert derived == derive_seed(seed, *names)


def test_every_part_counts() -> None:
    streams = list(itertools.product((0, 1), ("mix", "train"), ("a", "b"), (0, 1)))
    assert len({derive_seed(*stream) for stream in streams}) == len(streams)
    assert derive_seed(1, "23") != derive_seed(12, "3")
    assert derive_seed(0, "a", "b") != derive_seed(0, "b", "a")
    assert derive_seed(0) != derive_seed(0, "")
