"""A reservoir is a uniform sample of its stream, whenever the stream is cut off."""

from __future__ import annotations

from lamol_core.methods.replay import Reservoir


def held(size: int, num_items: int, seed: int, cut_at: int = 0) -> list[int]:
    """Which items are held after a stream of numbers; at `cut_at` the reservoir is made anew."""
    reservoir, items = Reservoir(size, seed), [-1] * min(size, num_items)
    for item in range(num_items):
        if item == cut_at:
            reservoir = Reservoir(size, seed, reservoir.num_seen)
        slot = reservoir.next_slot()
        if slot is not None:
            items[slot] = item
    return items


def test_all_items_are_held_until_it_is_full() -> None:
    assert held(5, 3, 0) == [0, 1, 2]
    assert sorted(held(5, 5, 0)) == [0, 1, 2, 3, 4]


def test_every_item_is_held_with_the_same_probability() -> None:
    runs, size, num_items = 3000, 4, 16
    counts = [0] * num_items
    for seed in range(runs):
        for item in held(size, num_items, seed):
            counts[item] += 1
    expected = runs * size / num_items
    chi_square = sum((count - expected) ** 2 / expected for count in counts)
    assert chi_square < 37.7, "15 degrees of freedom: 37.7 is exceeded once in a thousand times"
    assert len(set(counts)) > 1


def test_a_stream_that_was_cut_off_goes_on() -> None:
    assert held(4, 50, 1, cut_at=23) == held(4, 50, 1)
    assert held(4, 50, 2) != held(4, 50, 1)
