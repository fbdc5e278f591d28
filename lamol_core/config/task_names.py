"""The names of tasks, and the order in which tasks are learnt."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from lamol_core.config.errors import unquoted
from lamol_core.errors import ConfigError, did_you_mean

T = TypeVar("T")

BASE = "base"
"""The name that stands for the state before the first task."""
RESERVED_NAMES = (BASE, "average")
"""Names with another meaning in folders or in metrics.json. No task may have them."""
TASK_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,63}$")
NO_NAME = (
    "not a valid task name. Use up to 64 lower-case letters, digits, - and _, the first one a "
    f"letter or a digit; {' and '.join(RESERVED_NAMES)} are taken."
)


def find_task(tasks: Mapping[str, T], name: str) -> T:
    """The block of a task. Raises ConfigError where params.yaml has no such task."""
    if name not in tasks:
        known = ", ".join(tasks) or "none"
        hint = did_you_mean(name, tasks)
        raise ConfigError(f"params.yaml: no task {name!r}{hint}. Its tasks are: {known}.")
    return tasks[name]


def is_task_name(name: str) -> bool:
    """Whether a task may have this name."""
    return TASK_NAME.fullmatch(name) is not None and name not in RESERVED_NAMES


def find_order_problems(tasks: Mapping[Any, Any]) -> list[str]:
    """A sentence for each invalid task name, unknown predecessor and cycle."""
    problems = [] if tasks else ["tasks: no task is listed."]
    for name, task in tasks.items():
        if not isinstance(name, str):
            problems.append(f"tasks.{name}: {unquoted(name)}")
        elif not is_task_name(name):
            problems.append(f"tasks.{name}: {NO_NAME}")
        after = _after(task)
        if after is not None and after != BASE and after not in tasks:
            hint = did_you_mean(str(after), [*map(str, tasks), BASE])
            problems.append(f"tasks.{name}.after: there is no task {after!r}{hint}.")
    return problems + [
        f"tasks: {' -> '.join(map(str, cycle))} is a cycle; one of them must be after {BASE!r}."
        for cycle in _cycles(tasks)
    ]


def lineage(tasks: Mapping[Any, Any], name: Any) -> list[Any]:
    """The task and its predecessors, from the task back to the first one. In a cycle every task is
    listed once."""
    path: list[Any] = []
    while name in tasks and name not in path:
        path.append(name)
        name = _after(tasks[name])
    return path


def _after(task: Any) -> str | None:
    """The predecessor that a task names (its block, or an object with `after`); None where it names
    none, or not as a string."""
    after = task.get("after") if isinstance(task, Mapping) else getattr(task, "after", None)
    return after if isinstance(after, str) else None


def _cycles(tasks: Mapping[Any, Any]) -> list[list[Any]]:
    cycles: dict[frozenset[Any], list[Any]] = {}
    for name in tasks:
        path = lineage(tasks, name)
        after = _after(tasks[path[-1]])
        if after in path:
            cycle = path[path.index(after) :]
            cycles.setdefault(frozenset(cycle), [*cycle, after])
    return list(cycles.values())
