"""All methods by their names in params.yaml."""

from typing import Any

from lamol_core.methods.derpp import Derpp
from lamol_core.methods.ewc import Ewc
from lamol_core.methods.finetune import Finetune
from lamol_core.methods.l2kd import L2kd
from lamol_core.methods.lamol import Lamol
from lamol_core.methods.lamol_kd import LamolKd
from lamol_core.methods.multitask import Multitask
from lamol_core.methods.replay import Replay
from lamol_core.methods.spec import Method

METHODS: dict[str, type[Method[Any]]] = {
    method.name: method
    for method in (LamolKd, Lamol, L2kd, Ewc, Derpp, Replay, Finetune, Multitask)
}
DEFAULT_METHOD = LamolKd.name
