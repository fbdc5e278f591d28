"""How rows become batches: nothing lost, nothing twice, budgets kept, counts true."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamol_core.records import View
from lamol_core.training.batches import (
    MicroBatch,
    count_supervised,
    cut_evenly,
    micro_batches,
    optimizer_batches,
)
from lamol_core.training.params import TrainParams
from lamol_core.training.trainer import count_steps
from tests.fakes import make_rows

BOTH: tuple[View, ...] = ("qa", "gen")
VIEWS: list[tuple[View, ...]] = [BOTH, ("qa",)]
ROWS = make_rows(9, 4)


def sequences(micros: list[MicroBatch]) -> Counter[tuple[tuple[int, ...], int, str, str]]:
    """(ids, number supervised, view, origin) of every sequence of the micro-batches."""
    found: Counter[tuple[tuple[int, ...], int, str, str]] = Counter()
    for micro in micros:
        lengths = micro.lengths
        assert lengths == sorted(lengths) and sum(lengths) == len(micro.ids)
        parts = (values.split(lengths) for values in (micro.ids, micro.positions, micro.labels))
        for member, ids, positions, labels in zip(micro.members, *parts, strict=True):
            assert positions.tolist() == list(range(len(ids)))
            kept = labels[labels != -100]
            assert torch.equal(kept, ids[len(ids) - len(kept) :])
            assert tuple(ids.tolist()) == member.ids and len(kept) == member.num_supervised
            found[tuple(ids.tolist()), len(kept), member.view, member.origin] += 1
    return found


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), st.integers(1, 300))
def test_cuts_cover_everything_within_the_budget(lengths: list[int], max_tokens: int) -> None:
    cuts = cut_evenly(lengths, max_tokens)
    assert [start for start, _ in cuts] == [0, *(stop for _, stop in cuts[:-1])]
    assert cuts[-1][1] == len(lengths)
    for start, stop in cuts:
        assert stop > start
        assert stop - start == 1 or sum(lengths[start:stop]) <= max_tokens


@given(st.lists(st.integers(1, 200), min_size=1, max_size=8), st.integers(1, 600))
@settings(max_examples=60, deadline=None)
def test_cuts_are_few_and_even(lengths: list[int], max_tokens: int) -> None:
    def sizes(edges: list[int]) -> list[int]:
        return [sum(lengths[start:stop]) for start, stop in pairwise(edges)]

    def fits(edges: list[int]) -> bool:
        alone = [stop - start == 1 for start, stop in pairwise(edges)]
        return all(
            is_alone or size <= max_tokens
            for is_alone, size in zip(alone, sizes(edges), strict=True)
        )

    inner = range(1, len(lengths))
    all_ways = [
        [0, *(i for i, cut in zip(inner, choice, strict=True) if cut), len(lengths)]
        for choice in product((False, True), repeat=len(lengths) - 1)
    ]
    found = [0, *(stop for _, stop in cut_evenly(lengths, max_tokens))]
    rivals = [edges for edges in all_ways if fits(edges)]
    assert len(found) == min(map(len, rivals))
    same_number = [edges for edges in rivals if len(edges) == len(found)]
    assert max(sizes(found)) == min(max(sizes(edges)) for edges in same_number)


@pytest.mark.parametrize("views", VIEWS, ids=["both views", "qa"])
@pytest.mark.parametrize("max_tokens", [10**9, 64, 1])
@pytest.mark.parametrize("world", [1, 3])
def test_micro_batches_hold_every_view_of_every_row_once(
    views: tuple[View, ...], max_tokens: int, world: int
) -> None:
    micros = [
        micro
        for rank in range(world)
        for micro in micro_batches(ROWS, views, max_tokens, rank, world)
    ]
    expected = Counter(
        (view.ids, view.num_supervised, view.view, row.origin)
        for row in ROWS
        for view in row.views(views)
    )
    assert sequences(micros) == expected
    assert sum(micro.num_tokens for micro in micros) == sum(
        len(key[0]) * n for key, n in expected.items()
    )
    if max_tokens == 1:
        assert all(len(micro.members) == 1 for micro in micros)


def test_a_process_without_rows_computes_one_that_does_not_count() -> None:
    (idle,) = micro_batches(ROWS[:1], BOTH, 64, 1, 2)
    assert idle.num_tokens == 0 and len(idle.ids) > 0 and (idle.labels == -100).all()


def test_some_members_alone_are_a_micro_batch_of_their_own() -> None:
    (micro,) = micro_batches(ROWS, BOTH, 10**9)
    pseudo = tuple(member for member in micro.members if member.origin == "pseudo")
    others = tuple(member for member in micro.members if member.origin != "pseudo")
    parts = [micro.only(pseudo), micro.only(others)]
    assert parts[0].members == pseudo
    assert sequences(parts) == sequences([micro])


@pytest.mark.parametrize("views", VIEWS, ids=["both views", "qa"])
def test_counted_tokens_are_the_supervised_ones(views: tuple[View, ...]) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    for micro in micro_batches(ROWS, views, 64):
        for (_, supervised, view, origin), n in sequences([micro]).items():
            counted[view, origin] += n * supervised
    assert count_supervised(ROWS, views) == counted


@pytest.mark.parametrize("batch_size", [1, 4, 5, 13, 100])
def test_every_epoch_holds_every_row_once(batch_size: int) -> None:
    per_epoch = -(-len(ROWS) // batch_size)
    batches = list(optimizer_batches(ROWS, batch_size, 3 * per_epoch, seed=0))
    orders = []
    for epoch in range(3):
        chosen = batches[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert all(len(batch) <= batch_size for batch in chosen)
        orders.append([row.row_id for batch in chosen for row in batch])
        assert sorted(orders[-1]) == sorted(row.row_id for row in ROWS)
    assert orders[0] == [row.row_id for row in ROWS], "the first epoch is the mix's order"
    assert len({tuple(order) for order in orders}) == 3


def test_orders_depend_on_the_seed_alone() -> None:
    def order(seed: int) -> list[str]:
        return [r.row_id for b in optimizer_batches(ROWS, 4, 12, seed) for r in b]

    assert order(1) == order(1) != order(2)


def test_steps_end_within_an_epoch() -> None:
    assert len(list(optimizer_batches(ROWS, 4, 6, seed=0))) == 6


@pytest.mark.parametrize(
    ("rows", "params", "steps"),
    [
        (64, {"epochs": 5, "batch_size": 32}, 10),
        (65, {"epochs": 5, "batch_size": 32}, 15),
        (1, {"epochs": 2, "batch_size": 32}, 2),
        (1000, {"epochs": 5, "steps": 7}, 7),
    ],
)
def test_count_steps(rows: int, params: dict[str, int], steps: int) -> None:
    assert count_steps(rows, TrainParams.model_validate(params)) == steps
