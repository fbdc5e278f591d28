"""Several orders of the same tasks as one tree of `after`, in which beginnings are shared."""

import copy
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lamol_core.config.task_names import BASE
from lamol_core.errors import ConfigError, did_you_mean

COPY = re.compile(r"(.+)-([2-9]|[1-9][0-9]+)", re.ASCII)
"""What `order_tree` calls a task that it meets again."""


def order_tree(
    tasks: Mapping[str, Mapping[str, Any]], orders: Sequence[Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """The `tasks` block for these orders; every order is a path from `base` to a leaf.

    A task keeps its name where it is met first; elsewhere it is `name-2`, `name-3`, with the same
    source. Raises ConfigError where an order does not name every task once, is there twice, or a
    new name is taken.
    """
    tree: dict[str, dict[str, Any]] = {}
    node_of: dict[tuple[str, ...], str] = {(): BASE}
    for order in orders:
        _check_order(order, tasks, orders)
        for length in range(1, len(order) + 1):
            path = tuple(order[:length])
            if path in node_of:
                continue
            name = order[length - 1]
            number = 1 + sum(known[-1:] == (name,) for known in node_of)
            node = name if number == 1 else f"{name}-{number}"
            if node in tree or (number > 1 and node in tasks):
                raise ConfigError(f"tasks: {node!r} is the name of a task; rename that one.")
            node_of[path] = node
            tree[node] = {**copy.deepcopy(dict(tasks[name])), "after": node_of[path[:-1]]}
    return tree


def distinct_tasks(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The tasks without those that `order_tree` made of others."""
    return {name: task for name, task in tasks.items() if original_name(name, tasks) == name}


def listed_order(tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The distinct tasks as they are learnt: in a tree of orders the first one, and as they are
    listed where no order has them all."""
    names = list(distinct_tasks(tasks))
    order: list[str] = []
    last = BASE
    while following := [name for name, task in tasks.items() if task["after"] == last]:
        last = following[0]
        order.append(original_name(last, tasks))
    return order if sorted(order) == sorted(names) else names


def original_name(name: str, tasks: Mapping[str, Mapping[str, Any]]) -> str:
    """`name` of a task `name-2` that `order_tree` made: one with the same block but for `after`."""
    found = COPY.fullmatch(name)
    if found is None or not {name, found[1]} <= tasks.keys():
        return name
    is_copy = {**tasks[name], "after": None} == {**tasks[found[1]], "after": None}
    return found[1] if is_copy else name


def original_names(order: Sequence[str], tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The original names of an order's tasks; their own where a task is learnt twice in it."""
    names = {name: original_name(name, tasks) for name in order}
    return names if len(set(names.values())) == len(order) else {name: name for name in order}


def _check_order(
    order: Sequence[str], tasks: Mapping[str, Any], orders: Sequence[Sequence[str]]
) -> None:
    shown = ",".join(order)
    for name in order:
        if name not in tasks:
            hint = did_you_mean(name, tasks)
            raise ConfigError(f"order {shown}: params.yaml has no task {name!r}{hint}.")
    left_out = [name for name in tasks if name not in order]
    if left_out or len(set(order)) != len(order):
        raise ConfigError(
            f"order {shown}: name every task once"
            + (f"; {', '.join(left_out)} left out." if left_out else ".")
        )
    if [list(other) for other in orders].count(list(order)) > 1:
        raise ConfigError(f"order {shown}: it is there twice.")


def random_orders(names: Sequence[str], count: int, seed: int) -> list[list[str]]:
    """`count` different orders of all tasks, the given one first.

    Raises ConfigError when there are not so many."""
    orders = [list(names)]
    rng = random.Random(seed)
    for _ in range(1000 * count):
        if len(orders) >= count:
            return orders
        candidate = rng.sample(list(names), len(names))
        if candidate not in orders:
            orders.append(candidate)
    raise ConfigError(f"{len(names)} tasks have fewer than {count} different orders.")
