"""Every method by its name in params.yaml."""

from __future__ import annotations

from collections.abc import Callable

from lamol_core.config import Params
from lamol_core.methods.base import Method
from lamol_core.methods.lamol import Lamol
from lamol_core.methods.lamol_kd import LamolKd
from lamol_core.methods.plain import Finetune, Multitask

METHODS: dict[str, Callable[[Params], Method]] = {
    "lamol_kd": lambda params: LamolKd(params.lamol_kd),
    "lamol": lambda params: Lamol(params.lamol),
    "finetune": lambda params: Finetune(),
    "multitask": lambda params: Multitask(),
}


def build_method(params: Params) -> Method:
    """The method that params.yaml names, with its block of parameters."""
    return METHODS[params.method](params)
