"""What a method declares. A new one is a file with a subclass, and a line in the registry."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Literal, TypeVar

from lamol_core.config.section import Section
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.terms import Loss

P = TypeVar("P", bound=Section)
Symptom = Literal[
    "few_pseudo_rows",
    "high_forgetting",
    "low_new_task",
    "forgetting_and_low_new_task",
    "poor_pseudo_samples",
    "unstable_training",
]
"""What the report looks for in a run's figures."""


class Method(ABC, Generic[P]):
    """One continual-learning method, built from its block of params.yaml.

    rehearses: pseudo-samples of earlier tasks are drawn and mixed in.
    keeps_real_rows: its memory holds real rows of earlier tasks.
    mixes_real_rows: its mix has the real rows of all earlier tasks.
    cost_per_token: seconds of a whole training, over those of as many steps of a first task, for
    `lamol check --estimate`: more where an expert or a penalty is added (docs/performance.md).
    privacy: what is kept of earlier tasks, in one sentence.
    presets: what `lamol init` writes for a pretrained backbone, by block, where that is no default.
    advice: what to change where the report finds a symptom. `{tasks}` names where, `{points}` how
    much is forgotten, `{first}` the first task and its score.
    """

    name: ClassVar[str]
    Params: ClassVar[type[Section]] = Section
    rehearses: ClassVar[bool] = False
    keeps_real_rows: ClassVar[bool] = False
    mixes_real_rows: ClassVar[bool] = False
    cost_per_token: ClassVar[float] = 1.0
    privacy: ClassVar[str]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    advice: ClassVar[Mapping[Symptom, str]] = {}

    def __init__(self, params: P) -> None:
        self.params = params

    @property
    @abstractmethod
    def loss(self) -> Loss:
        """L of a batch; its equation stands in the method's file."""

    @property
    def expert_loss(self) -> Loss | None:
        """The loss of an expert of the new task alone, which is then the teacher.

        None: the teacher is the student as it was before the task."""
        return None

    def memory(self, context: MemoryContext) -> Memory:
        """What the method keeps between tasks, empty."""
        return Memory()

    def effective_params(self, has_pseudo_rows: bool) -> dict[str, Any]:
        """The parameters that act in a training: others are no part of a checkpoint's manifest."""
        return self.params.model_dump(by_alias=True)
