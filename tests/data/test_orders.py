"""Orders as a tree: every order is a path, what two begin with is there once."""

from __future__ import annotations

from itertools import permutations

import pytest

from lamol_core.config.task_names import BASE, find_order_problems
from lamol_core.data.orders import (
    distinct_tasks,
    listed_order,
    order_tree,
    original_names,
    random_orders,
)
from lamol_core.errors import ConfigError
from tests.messages import naming

TASKS = {name: {"after": BASE, "source": {"kind": "demo", "task": name}} for name in "abcd"}


def paths(tree: dict) -> list[list[str]]:
    """The path to each leaf, as source tasks."""
    followed = {task["after"] for task in tree.values()}
    found = []
    for leaf in tree:
        if leaf in followed:
            continue
        path, node = [], leaf
        while node != BASE:
            path.insert(0, tree[node]["source"]["task"])
            node = tree[node]["after"]
        found.append(path)
    return found


def test_what_two_orders_begin_with_is_learnt_once() -> None:
    tree = order_tree(TASKS, [list("abcd"), list("abdc"), list("bacd")])
    assert paths(tree) == [list("abcd"), list("abdc"), list("bacd")]
    assert len(tree) == 4 + 2 + 4
    assert list(tree)[:4] == list("abcd"), "the first order keeps the names"
    assert tree["d-2"]["after"] == "b" and tree["b-2"]["after"] == BASE
    assert not find_order_problems(tree)


def test_a_tree_can_be_ordered_again() -> None:
    tree = order_tree(TASKS, [list("abcd"), list("bacd")])
    assert distinct_tasks(tree).keys() == TASKS.keys()
    again = order_tree(distinct_tasks(tree), [list("abcd"), list("bacd")])
    assert again == tree
    other = {**TASKS, "a-2": {"after": "a", "source": {"kind": "demo", "task": "other"}}}
    assert distinct_tasks(other) == other, "a task of its own may have such a name"


def test_all_orders_of_four_tasks() -> None:
    orders = [list(order) for order in permutations("abcd")]
    tree = order_tree(TASKS, orders)
    assert sorted(paths(tree)) == sorted(orders) and not find_order_problems(tree)
    assert len(tree) == 4 + 12 + 24 + 24


@pytest.mark.parametrize(
    ("orders", "named"),
    [
        ([["a", "x"]], ["a,x", "params.yaml"]),
        ([["a", "b", "c", "d", "a"]], ["a,b,c,d,a"]),
        ([list("abcd"), ["b", "a"]], ["b,a", "c", "d"]),
        ([list("abcd"), list("bacd"), list("abcd")], ["a,b,c,d"]),
    ],
)
def test_wrong_orders_are_told(orders: list[list[str]], named: list[str]) -> None:
    with pytest.raises(ConfigError, match=naming(*named)):
        order_tree(TASKS, orders)


def test_a_name_that_is_taken_is_told() -> None:
    tasks = {**TASKS, "a-2": TASKS["a"]}
    with pytest.raises(ConfigError, match=naming("tasks", "a-2")):
        order_tree(tasks, [["a", "b", "c", "d", "a-2"], ["b", "a", "c", "d", "a-2"]])


def test_a_copy_whose_name_would_be_too_long_is_told() -> None:
    tasks = {"a" * 63: TASKS["a"], "b": TASKS["b"]}
    with pytest.raises(ConfigError, match=naming(f"tasks.{'a' * 63}", f"{'a' * 63}-2")):
        order_tree(tasks, [[*tasks], [*tasks][::-1]])


def test_random_orders_differ_and_begin_with_the_given_one() -> None:
    orders = random_orders("abcd", 5, seed=3)
    assert orders[0] == list("abcd") and len({tuple(order) for order in orders}) == 5
    assert orders == random_orders("abcd", 5, seed=3) != random_orders("abcd", 5, seed=4)
    with pytest.raises(ConfigError, match=naming(3, 7)):
        random_orders("abc", 7, seed=0)


def test_names_that_no_tree_gives_are_a_task_s_own() -> None:
    twin = dict.fromkeys(("a", "a-2", "a-1", "a-02", "a-²"), TASKS["a"])
    assert list(distinct_tasks(twin)) == ["a", "a-1", "a-02", "a-\u00b2"]
    assert original_names(["a", "b"], TASKS) == {"a": "a", "b": "b"}
    again = ["a", "a-2"]
    assert original_names(["a-2"], twin) == {"a-2": "a"}
    assert original_names(again, twin) == {"a": "a", "a-2": "a-2"}, "learnt twice in one order"


def test_the_listed_order_is_that_of_learning_not_of_keys() -> None:
    blocks = {name: {"after": after, "source": name} for name, after in (("b", "a"), ("a", "base"))}
    assert listed_order(blocks) == ["a", "b"]
    tree = order_tree(TASKS, [list("dcba"), list("abcd")])
    assert listed_order(tree) == list("dcba")
    branched = {**blocks, "c": {"after": "a", "source": "c"}}
    assert listed_order(branched) == ["b", "a", "c"], "no order has all of them"
