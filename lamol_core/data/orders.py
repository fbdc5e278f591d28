"""Several orders of the same tasks as one tree of `after` keys, which shares equal beginnings."""

import copy
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import MANIFEST
from lamol_core.config.task_names import BASE, NO_NAME, is_task_name, lineage
from lamol_core.data.params import TaskParams
from lamol_core.errors import ConfigError, UsageError, did_you_mean

COPY = re.compile(r"(.+)-([2-9]|[1-9][0-9]+)", re.ASCII)
"""The name that `order_tree` gives to a further copy of a task: `travel-2`, `travel-3`."""


def order_tree(
    tasks: Mapping[str, Mapping[str, Any]], orders: Sequence[Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """The `tasks` block that learns all these orders. Each order is a path from `base` to a leaf.

    A task keeps its name at its first place in the tree. At further places it is a copy, `name-2`,
    `name-3`, with another `after`. Raises ConfigError where an order does not name every task once,
    an order is given twice, or the name of a copy is taken."""
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
            if not is_task_name(node):
                raise ConfigError(f"tasks.{name}: its copy would be {node}, {NO_NAME}")
            if node in tree or (number > 1 and node in tasks):
                raise ConfigError(f"tasks: {node!r} is taken, a copy needs it; rename that task.")
            node_of[path] = node
            tree[node] = {**copy.deepcopy(dict(tasks[name])), "after": node_of[path[:-1]]}
    return tree


def distinct_tasks(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The tasks without the copies that `order_tree` made."""
    return {name: task for name, task in tasks.items() if original_name(name, tasks) == name}


def listed_order(tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The distinct tasks in the order of the tree's first path. Where that path lacks a task, in
    the order of params.yaml."""
    names = list(distinct_tasks(tasks))
    order: list[str] = []
    last = BASE
    while following := [name for name, task in tasks.items() if task["after"] == last]:
        last = following[0]
        order.append(original_name(last, tasks))
    return order if sorted(order) == sorted(names) else names


def original_name(name: str, tasks: Mapping[str, Mapping[str, Any]]) -> str:
    """The name of the task that `name` is a copy of; `name` itself where it is no copy.

    A copy `travel-2` has the same block as `travel` but for `after`."""
    found = COPY.fullmatch(name)
    if found is None or not {name, found[1]} <= tasks.keys():
        return name
    is_copy = {**tasks[name], "after": None} == {**tasks[found[1]], "after": None}
    return found[1] if is_copy else name


def original_names(order: Sequence[str], tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The original name of each task of an order. Where two tasks have the same original, every
    task is given its own name."""
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
        raise ConfigError(f"order {shown}: it is given twice.")


def random_orders(names: Sequence[str], count: int, seed: int) -> list[list[str]]:
    """`count` different orders of the tasks: first the order of `names`, then random ones.

    Raises ConfigError where the tasks have fewer orders."""
    orders = [list(names)]
    rng = random.Random(seed)
    for _ in range(1000 * count):
        if len(orders) >= count:
            return orders
        candidate = rng.sample(list(names), len(names))
        if candidate not in orders:
            orders.append(candidate)
    raise ConfigError(f"{len(names)} tasks have fewer than {count} different orders.")


def last_learnt(tasks: Mapping[str, TaskParams], layout: Layout) -> str:
    """The last task of the sequence that has a student; its last task where none has. Raises
    UsageError where the tasks are a tree with several last ones."""
    followed = {task.after for task in tasks.values()}
    name, *others = [name for name in tasks if name not in followed]
    if others:
        raise UsageError(
            f"{', '.join([name, *others])} are each the last task of an order. Choose whose "
            f"student answers, like --task {name}."
        )
    order = lineage(tasks, name)
    return next((task for task in order if (layout.student(task) / MANIFEST).is_file()), name)
