"""Splits that are cut off: nothing is lost, nothing straddles, nothing depends on chance."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamol_core.data.columns import RawRow
from lamol_core.data.params import PrepareParams
from lamol_core.data.splits import complete_splits, looks_like_classes
from lamol_core.errors import ConfigError
from lamol_core.records import SPLITS
from tests.messages import names

CLASSES = [RawRow(f"row {i}", f"label {i % 8}") for i in range(320)]
TEXT = [RawRow(f"row {i}", f"answer {i}") for i in range(50)]
PARAMS = PrepareParams()


def test_given_splits_are_left_alone() -> None:
    given_splits = {"test": CLASSES[5:7], "train": CLASSES[:5], "dev": CLASSES[:1]}
    assert complete_splits(given_splits, PARAMS, "t") == given_splits


@pytest.mark.parametrize("rows", [CLASSES, TEXT])
def test_sizes_are_the_fractions_and_order_is_kept(rows: list[RawRow]) -> None:
    splits = complete_splits({"train": rows}, PARAMS, "t")
    assert list(splits) == list(SPLITS)
    assert len(splits["test"]) == round(0.2 * len(rows))
    assert len(splits["dev"]) == round(0.1 * len(rows))
    for part in splits.values():
        assert part == [row for row in rows if row in part]


def test_every_target_has_its_share() -> None:
    splits = complete_splits({"train": CLASSES}, PARAMS, "t")
    for split, count in (("train", 28), ("dev", 4), ("test", 8)):
        assert set(Counter(row.target for row in splits[split]).values()) == {count}


def test_small_targets_take_no_more_than_their_share() -> None:
    rows = [RawRow(f"row {i}", "big" if i % 2 else f"label {i % 60}") for i in range(600)]
    params = PrepareParams(dev_fraction=0.05)
    dev = complete_splits({"train": rows, "test": TEXT}, params, "t")["dev"]
    assert [row.target for row in dev].count("big") == len(dev) / 2 == 15


def test_only_what_is_missing_is_cut() -> None:
    given_splits = {"train": CLASSES, "test": TEXT}
    splits = complete_splits(given_splits, PARAMS, "t")
    assert splits["test"] == TEXT
    assert len(splits["dev"]) == 32


def test_the_seed_decides() -> None:
    first, again, other = (
        complete_splits({"train": CLASSES}, PrepareParams(split_seed=seed), "t")
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first["test"] != other["test"]


def test_a_row_more_does_not_deal_all_rows_anew() -> None:
    before = complete_splits({"train": TEXT}, PARAMS, "t")["test"]
    after = complete_splits({"train": [RawRow("new", "new"), *TEXT]}, PARAMS, "t")["test"]
    assert len(set(before) & set(after)) >= len(before) - 1


ROWS = st.lists(
    st.builds(
        RawRow,
        input=st.integers(0, 12).map(lambda i: f"i{i}"),
        target=st.integers(0, 4).map(lambda i: f"t{i}"),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 3))
def test_whatever_the_rows(rows: list[RawRow], seed: int) -> None:
    try:
        splits = complete_splits({"train": rows}, PrepareParams(split_seed=seed), "t")
    except ConfigError as error:
        assert names(error, "tasks.t.source")
        return
    assert all(splits[split] for split in SPLITS)
    assert Counter(row for part in splits.values() for row in part) == Counter(rows)
    inputs = [{row.input for row in splits[split]} for split in SPLITS]
    assert sum(map(len, inputs)) == len(set().union(*inputs))
    if looks_like_classes([row.target for row in rows]):
        assert {row.target for row in splits["train"]} == {row.target for row in rows}


def test_a_class_of_one_row_stays_in_train() -> None:
    rows = [*CLASSES, RawRow("alone", "rare")]
    assert rows[-1] in complete_splits({"train": rows}, PARAMS, "t")["train"]


@pytest.mark.parametrize(
    "rows", [TEXT[:1], TEXT[:2], [RawRow("same", "a")] * 9, [RawRow("x", "a"), RawRow("y", "b")]]
)
def test_too_few_rows(rows: list[RawRow]) -> None:
    with pytest.raises(ConfigError, match=r"^tasks\.t\.source: .*\b(test|dev)\b"):
        complete_splits({"train": rows}, PARAMS, "t")


def test_three_rows_are_enough() -> None:
    splits = complete_splits({"train": TEXT[:3]}, PARAMS, "t")
    assert [len(part) for part in splits.values()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("targets", "classes"),
    [
        ([f"{i % 8}" for i in range(320)], True),
        (["yes", "no"] * 3, True),
        (["only"] * 4, True),
        ([f"{i}" for i in range(320)], False),
        ([f"{i % 42}" for i in range(400)], False),
        (["a", "b"], False),
    ],
)
def test_labels_are_told_from_text(targets: list[str], classes: bool) -> None:
    assert looks_like_classes(targets) is classes
