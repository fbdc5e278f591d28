"""The base class of all methods. To add a method, write a file with a subclass and a line in the
registry.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from lamol_core.config.section import Section
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.terms import Loss, ce

P = TypeVar("P", bound=Section)


class Method(Generic[P]):
    """One continual-learning method, made with its block of params.yaml.

    Attributes:
        name: The name in params.yaml.
        Params: The class of the method's block.
        rehearses: Pseudo-samples of earlier tasks are drawn and added to the mix.
        keeps_real_rows: The memory holds real rows of earlier tasks.
        mixes_real_rows: The mix contains the real rows of all earlier tasks.
        cost_per_token: How much longer a training takes than one of a first task with equal steps,
            for `lamol check --estimate`. It is above 1 with an expert or a penalty
            (docs/performance.md).
        kept_per_weight: How many numbers its memory holds for each weight of the model.
        privacy: One sentence on what is kept of earlier tasks.
        presets: Values, by block, that `lamol init` writes for a pretrained backbone.
    """

    name: ClassVar[str]
    Params: ClassVar[type[Section]] = Section
    rehearses: ClassVar[bool] = False
    keeps_real_rows: ClassVar[bool] = False
    mixes_real_rows: ClassVar[bool] = False
    cost_per_token: ClassVar[float] = 1.0
    kept_per_weight: ClassVar[int] = 0
    privacy: ClassVar[str]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, params: P) -> None:
        self.params = params

    @property
    def loss(self) -> Loss:
        """The loss of a batch, here that of plain training: CE_qa over the batch's new rows. The
        method's file has its equation."""
        return ce("qa", "new")

    @property
    def expert_loss(self) -> Loss | None:
        """The loss for training an expert on the new task alone, which is then the teacher.

        None means that there is no expert: the teacher is the student before the task."""
        return None

    def memory(self, context: MemoryContext) -> Memory:
        """A new, empty memory for what the method keeps between tasks."""
        return Memory()

    def effective_params(self, has_pseudo_rows: bool) -> dict[str, Any]:
        """The method's parameters that affect a training. A checkpoint's manifest lists only
        these."""
        return self.params.model_dump(by_alias=True)
