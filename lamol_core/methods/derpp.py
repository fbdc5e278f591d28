"""DER++ (Buzzega et al. 2020, "Dark Experience for General Continual Learning", algorithm 2).

    L = CE_qa(new) + beta CE_qa(memory) + alpha MSE_qa(memory)

MSE is the mean of (z - h)^2 over tokens and vocabulary. h are the student's logits; z are the
logits stored when the row entered the memory, which are never computed again. Both memory terms use
the same draw of rows. Every trained row is offered to the reservoir in every epoch, with the
student's logits of that step.
"""

from lamol_core.config.section import Weight
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.replay import ReplayParams
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, ce, mse


class DerppParams(ReplayParams):
    """The reservoir and the weights of its losses.

    Attributes:
        alpha: The weight of the squared difference to the stored logits.
        beta: The weight of the cross-entropy on the stored labels.
    """

    alpha: Weight = 0.5
    beta: Weight = 0.5


class Derpp(Method[DerppParams]):
    name, Params = "derpp", DerppParams
    keeps_real_rows = True
    privacy = "KEEPS REAL ROWS of earlier tasks, at most `buffer_size`, with their logits."

    @property
    def loss(self) -> Loss:
        alpha, beta = self.params.alpha, self.params.beta
        return ce("qa", "new") + beta * ce("qa", "memory") + alpha * mse("qa")

    def memory(self, context: MemoryContext) -> Memory:
        from lamol_core.methods.derpp_memory import LogitMemory

        return LogitMemory(self.params, context)
