"""Names of tasks: what they may be, and in which order they are learnt."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from lamol_core.errors import ConfigError, did_you_mean

T = TypeVar("T")

BASE = "base"
"""The name of what comes before the first task."""
RESERVED_NAMES = (BASE, "average")
"""Names that mean something else in the folders or in metrics.json."""
TASK_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,63}$")


def find_task(tasks: Mapping[str, T], name: str) -> T:
    """A task's block. Raises ConfigError for a name that params.yaml does not have."""
    if name not in tasks:
        known = ", ".join(tasks) or "none"
        hint = did_you_mean(name, tasks)
        raise ConfigError(f"params.yaml: no task {name!r}{hint}. Its tasks are: {known}.")
    return tasks[name]


def find_order_problems(tasks: Mapping[Any, Any]) -> list[str]:
    """Names outside the pattern, unknown predecessors, cycles."""
    problems = [] if tasks else ["tasks: no task is listed."]
    for name, task in tasks.items():
        if not isinstance(name, str) or not TASK_NAME.fullmatch(name) or name in RESERVED_NAMES:
            problems.append(
                f"tasks.{name}: not a task name (wanted {TASK_NAME.pattern}, and none of "
                f"{', '.join(RESERVED_NAMES)})."
            )
        after = _after(task)
        if after is not None and after != BASE and after not in tasks:
            hint = did_you_mean(str(after), [*map(str, tasks), BASE])
            problems.append(f"tasks.{name}.after: there is no task {after!r}{hint}.")
    return problems + [
        f"tasks: {' -> '.join(map(str, cycle))} is a cycle; one of them must be after {BASE!r}."
        for cycle in _cycles(tasks)
    ]


def lineage(tasks: Mapping[Any, Any], name: Any) -> list[Any]:
    """A task and those before it, the first one last; of a cycle every task once."""
    path: list[Any] = []
    while name in tasks and name not in path:
        path.append(name)
        name = _after(tasks[name])
    return path


def _after(task: Any) -> str | None:
    """The predecessor that a task's block names, if it names one as it should."""
    after = task.get("after") if isinstance(task, Mapping) else None
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
