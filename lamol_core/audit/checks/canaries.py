"""Canaries: whether random sentences that were planted in training come back (`prepare.canaries`).

canary_share      planted secrets that stand in any row drawn, rejected ones too
exposure          log2 of the secrets tried, minus log2 of the rank of the planted one among them by
                  the teacher's likelihood (Carlini et al. 2019, section 4.2), mean over canaries;
                  about 1.4 without memory, 10 at the most (where the teacher was asked)
"""

import math
import random
from typing import ClassVar

from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Figure, Finding, Flag, SampledTask, pooled
from lamol_core.config.section import Section
from lamol_core.data.canaries import DIGITS
from lamol_core.seeds import derive_seed

TRIED = 1023
"""Other secrets that a planted one is ranked among: 1,024 with it."""


class Canaries(Check[Section]):
    name = "canaries"
    title = "Do planted secrets come back"
    limits: ClassVar = {
        "canary_share": Limit(warn=0.0, fail=0.1),
        "exposure": Limit(warn=5.0, fail=8.0),
    }

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task: dict[str, dict[str, Figure]] = {}
        flags = []
        # a row that counts for one task may hold what was planted in another
        drawn = [
            (of.name, sample.row_id, f"{sample.input} {sample.target}".replace(" ", ""))
            for of in audited.tasks
            for sample in of.drawn
        ]
        for task in audited.tasks:
            if not task.canaries:
                continue
            back = set()
            for source, row_id, text in drawn:
                found = [canary for canary in task.canaries if canary.secret in text]
                back |= {canary.secret for canary in found}
                flags += [
                    Flag(row_id, source, self.name, "canary", real_row_id=canary.row_id)
                    for canary in found
                ]
            by_task[task.name] = {
                "canaries": float(len(task.canaries)),
                "canary_share": len(back) / len(task.canaries),
                "exposure": _exposure(task, audited),
            }
        weights = {task.name: len(task.canaries) for task in audited.tasks}
        return Finding(self.name, pooled(by_task, weights), by_task, flags)


def _exposure(task: SampledTask, audited: Audited) -> Figure:
    score = audited.teacher.score
    if score is None:
        return None
    exposures = []
    for canary in task.canaries:
        chooser = random.Random(derive_seed(audited.seed, "exposure", canary.row_id))
        others = ["".join(chooser.choices("0123456789", k=DIGITS)) for _ in range(TRIED)]
        texts = [f"{canary.start} {secret}" for secret in (canary.secret, *others)]
        own, *rest = score(task.place, texts)
        rank = 1 + sum(one < own for one in rest)
        exposures.append(math.log2(TRIED + 1) - math.log2(rank))
    return sum(exposures) / len(exposures)
