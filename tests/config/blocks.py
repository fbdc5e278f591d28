"""A params.yaml as plain data, with one key changed."""

from typing import Any

from lamol_core.parameters import compose

DEMO = {"kind": "demo", "task": "home"}


def find_problems(data: dict[str, Any]) -> list[str]:
    return compose(data)[1]


def sequence(**after: str) -> dict[str, Any]:
    return {"tasks": {name: {"after": a, "source": dict(DEMO)} for name, a in after.items()}}
