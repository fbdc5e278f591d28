"""Canaries: whether random sentences that were planted in training come back (`prepare.canaries`).

canary_share      share of planted secrets that occur in a drawn row, rejected rows included
exposure          log2 of the number of secrets compared, minus log2 of the planted secret's rank
                  among them by the teacher's likelihood (Carlini et al. 2019, section 4.2); mean
                  over canaries. About 1.4 without memorisation, at most 10. None without
                  `audit.ask_teacher`
"""

import math
import random
from typing import ClassVar

from lamol_core.audit.figures import Figure, pooled
from lamol_core.audit.limits import Limit
from lamol_core.audit.spec import Audited, Check, Finding, SampledTask
from lamol_core.config.section import Section
from lamol_core.records import all_texts
from lamol_core.seeds import derive_seed

NUM_OTHERS = 1023  # random secrets that each planted one is ranked with: 1,024 in all


class Canaries(Check[Section]):
    name = "canaries"
    title = "Do planted secrets come back"
    about = "privacy"
    row_verdict = "canary"
    limits: ClassVar = {
        "canary_share": Limit(warn=0.0, fail=0.1),
        "exposure": Limit(warn=5.0, fail=8.0),
    }

    def run(self, audited: Audited, params: Section) -> Finding:
        by_task: dict[str, dict[str, Figure]] = {}
        flags = []
        # a row drawn for one task can hold a secret of another
        texts = [(row, "".join(all_texts(row)).replace(" ", "")) for row in audited.drawn]
        planted = [task for task in audited.earlier if task.canaries]
        for task in planted:
            found = [
                (sample, canary)
                for sample, text in texts
                for canary in task.canaries
                if canary.secret in text
            ]
            flags += [self.flag(sample, "canary", canary.row_id) for sample, canary in found]
            by_task[task.name] = {
                "canaries": float(len(task.canaries)),
                "canary_share": len({c.secret for _, c in found}) / len(task.canaries),
                "exposure": _exposure(task, audited),
            }
        weights = {task.name: len(task.canaries) for task in planted}
        return Finding(self.name, pooled(by_task, weights), by_task, flags)


def _exposure(task: SampledTask, audited: Audited) -> Figure:
    score = audited.teacher.score
    if score is None:
        return None
    exposures, is_prompted = [], audited.origin.text.is_target_first(task.facts)
    for canary in task.canaries:
        rng = random.Random(derive_seed(audited.seed, "exposure", canary.row_id))
        others = [canary.with_another_secret(rng) for _ in range(NUM_OTHERS)]
        texts = [one.text for one in (canary, *others)]
        planted, *rest = score(task.index, texts, canary.target if is_prompted else "")
        rank = 1 + sum(other < planted for other in rest)
        exposures.append(math.log2(NUM_OTHERS + 1) - math.log2(rank))
    return sum(exposures) / len(exposures)
