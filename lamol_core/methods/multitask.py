"""All tasks seen so far, jointly: the upper bound of the comparison.

    L = CE_qa       over the real rows of all tasks so far

Training goes on from the student of the tasks before: it does not begin with the backbone again at
each task, and rows of the first task are seen in every later training too.
"""

from lamol_core.config.section import Section
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, ce


class Multitask(Method[Section]):
    name = "multitask"
    mixes_real_rows = True
    privacy = "KEEPS THE REAL ROWS of every earlier task, by definition: none can be forgotten."

    @property
    def loss(self) -> Loss:
        return ce("qa", "new")
