"""The best of many draws: likeliest within a label, labels in even or in drawn shares."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lamol_core.generation.selection import even_quotas, keep_best, proportional_quotas
from lamol_core.records import PseudoSample

SIZES = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 20), min_size=1, max_size=6)


def sample(index: int, target: str, nll: float) -> PseudoSample:
    return PseudoSample(
        f"n/pseudo/a/{index}", "a", index, 1, "x", target, [7], [8], True, "", nll, 0, "abc"
    )


def by_nll(samples: list[PseudoSample]) -> list[PseudoSample]:
    return sorted(samples, key=lambda s: s.nll)


def test_the_first_of_each_label_are_kept() -> None:
    samples = [sample(i, "yes", nll) for i, nll in enumerate([3.0, 1.0, 2.0, 0.5])]
    samples += [sample(4 + i, " Yes", nll) for i, nll in enumerate([0.1])]
    samples += [sample(5, "no", 9.0)]
    assert keep_best(by_nll(samples), 2, balance=True) == {"n/pseudo/a/4", "n/pseudo/a/5"}
    kept = keep_best(by_nll(samples), 3, balance=False)
    assert kept == {"n/pseudo/a/4", "n/pseudo/a/3", "n/pseudo/a/1"}
    texts = [sample(i, f"text {9 - i}", nll) for i, nll in enumerate([3.0, 1.0, 2.0, 0.5])]
    for balance in (True, False):
        assert keep_best(by_nll(texts), 2, balance) == {"n/pseudo/a/1", "n/pseudo/a/3"}, "free text"
    assert keep_best(samples, 6, balance=False) == {s.row_id for s in samples}
    first = keep_best(samples, 3, balance=True)
    assert first == {"n/pseudo/a/0", "n/pseudo/a/1", "n/pseudo/a/5"}


@given(SIZES, st.integers(0, 60), st.dictionaries(st.text(max_size=3), st.integers(0, 9)))
def test_even_quotas_go_to_the_labels_that_have_the_fewest(
    sizes: dict[str, int], count: int, have: dict[str, int]
) -> None:
    quotas = even_quotas(sizes, count, have)
    assert sum(quotas.values()) == min(count, sum(sizes.values()))
    assert all(quotas[label] <= sizes[label] for label in sizes)
    in_all = {label: have.get(label, 0) + quotas[label] for label in sizes}
    given_to = [in_all[label] for label in sizes if quotas[label]]
    unfilled = [in_all[label] for label in sizes if quotas[label] < sizes[label]]
    assert not unfilled or not given_to or max(given_to) - min(unfilled) <= 1
    if not have:
        assert not unfilled or max(quotas.values()) - min(unfilled) <= 1


def test_rows_that_are_there_already_count() -> None:
    samples = [sample(i, "ab"[i % 2], 1.0) for i in range(6)]
    chosen = keep_best(samples, 3, balance=True, existing={"a": 4, "b": 1})
    assert chosen == {"n/pseudo/a/1", "n/pseudo/a/3", "n/pseudo/a/5"}


@given(SIZES, st.integers(0, 60))
def test_proportional_quotas_are_within_one_of_the_share(sizes: dict[str, int], count: int) -> None:
    quotas, total = proportional_quotas(sizes, count), sum(sizes.values())
    count = min(count, total)
    assert sum(quotas.values()) == count
    for label, size in sizes.items():
        assert abs(quotas[label] - count * size / total) < 1 and quotas[label] <= size
