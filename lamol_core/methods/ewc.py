"""EWC (Kirkpatrick et al. 2017), in its online form (Schwarz et al. 2018, section 3.2).

    L   = CE_qa + weight / 2 sum_i F_i (theta_i - theta*_i)^2
    F_i = sum over the tasks so far of mean_rows ( d log p(y | x) / d theta_i )^2

theta* are the weights before the task. The memory (ewc_memory.py) adds the penalty.
"""

from lamol_core.config.section import Count, Section, Weight
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.spec import Method


class EwcParams(Section):
    """The penalty.

    Attributes:
        weight: The weight of the penalty.
        fisher_rows: The Fisher information of a task is the mean over so many of its rows. `null`:
            all.
    """

    weight: Weight = 5000.0
    fisher_rows: Count | None = 200


class Ewc(Method[EwcParams]):
    name, Params = "ewc", EwcParams
    cost_per_token = 1.3  # the penalty, once there is a Fisher information
    kept_per_weight = 1
    privacy = "Keeps no real row, but one number for each weight."

    def memory(self, context: MemoryContext) -> Memory:
        from lamol_core.methods.ewc_memory import FisherMemory

        return FisherMemory(self.params, context.seed)
