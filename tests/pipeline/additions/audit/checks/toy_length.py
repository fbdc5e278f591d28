"""Toy length: how long the rows are.

toy_words    words of a row, mean over the rows kept
"""

from __future__ import annotations

from typing import ClassVar

from lamol_core.audit.figures import Figure, pooled
from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Finding
from lamol_core.config.section import Section
from lamol_core.text.normalise import words_of


class ToyLength(Check[Section]):
    name = "toy_length"
    title = "How long is it"
    about = "quality"
    limits: ClassVar = {"toy_words": Limit(warn=50.0, fail=90.0)}

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task: dict[str, dict[str, Figure]] = {}
        for task in audited.tasks:
            lengths = [len(words_of(text)) for text in task.texts(task.kept)]
            by_task[task.name] = {"toy_words": sum(lengths) / len(lengths) if lengths else None}
        weights = {task.name: len(task.kept) for task in audited.tasks}
        return Finding(self.name, pooled(by_task, weights), by_task)
