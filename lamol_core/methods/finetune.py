"""Plain sequential training: the lower bound of the comparison.

    L = CE_qa       over the new task's rows

Nothing protects earlier tasks.
"""

from lamol_core.config.section import Section
from lamol_core.methods.spec import Method


class Finetune(Method[Section]):
    name = "finetune"
    privacy = "Keeps nothing of an earlier task."
