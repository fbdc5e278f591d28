"""Every method by its name in params.yaml."""

from __future__ import annotations

from collections.abc import Callable

from lamol_core.config.blocks import Params
from lamol_core.methods.derpp import Derpp
from lamol_core.methods.ewc import Ewc
from lamol_core.methods.finetune import Finetune
from lamol_core.methods.l2kd import L2kd
from lamol_core.methods.lamol import Lamol
from lamol_core.methods.lamol_kd import LamolKd
from lamol_core.methods.multitask import Multitask
from lamol_core.methods.replay import Replay
from lamol_core.methods.spec import Method

METHODS: dict[str, Callable[[Params], Method]] = {
    "lamol_kd": lambda params: LamolKd(params.lamol_kd),
    "lamol": lambda params: Lamol(params.lamol),
    "l2kd": lambda params: L2kd(params.l2kd),
    "ewc": lambda params: Ewc(params.ewc),
    "derpp": lambda params: Derpp(params.derpp),
    "replay": lambda params: Replay(params.replay),
    "finetune": lambda params: Finetune(),
    "multitask": lambda params: Multitask(),
}


def build_method(params: Params) -> Method:
    """The method that params.yaml names, with its block of parameters."""
    return METHODS[params.method](params)
