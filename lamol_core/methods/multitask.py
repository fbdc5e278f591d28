"""Joint training on all tasks seen so far: the upper bound of the comparison.

    L = CE_qa       over the real rows of all tasks so far

Each task's training starts from the student of the task before, not from the backbone. So the rows
of the first task are trained on again in every later training.
"""

from lamol_core.config.section import Section
from lamol_core.methods.spec import Method


class Multitask(Method[Section]):
    name = "multitask"
    mixes_real_rows = True
    privacy = "KEEPS THE REAL ROWS of every earlier task, by definition: none can be forgotten."
