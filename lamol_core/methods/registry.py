"""All methods by their names in params.yaml."""

from typing import Any

from lamol_core.errors import ConfigError, did_you_mean
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


def find_method(name: str | None) -> type[Method[Any]]:
    """The method with this name; the default method for None. Raises ConfigError for an unknown
    name."""
    if name is None:
        return METHODS[DEFAULT_METHOD]
    if not isinstance(name, str) or name not in METHODS:
        hint = did_you_mean(str(name), METHODS)
        raise ConfigError(f"params.yaml: method: {name!r} is none of {', '.join(METHODS)}{hint}.")
    return METHODS[name]
