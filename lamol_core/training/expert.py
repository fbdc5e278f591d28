"""Train an expert on the new task alone. It is the teacher of a method with an expert's loss
(L2KD).
"""

import logging
from pathlib import Path

from transformers import PreTrainedModel

from lamol_core.methods.memory import Memory
from lamol_core.methods.terms import Loss
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.resume import Resume
from lamol_core.training.setup import TrainingSetup

log = logging.getLogger(__name__)


def train_expert(
    setup: TrainingSetup, backbone: Path, rows: list[EncodedRow], loss: Loss, resume: Resume | None
) -> PreTrainedModel:
    """Train the backbone on the new rows with the expert's loss; returns it in eval mode. `resume`
    keeps its last step, so that an interrupted training of the student need not train the expert
    again."""
    sentence = "an expert is trained on the new task first, then the student"
    log.info(sentence, extra={"first_met": 2})
    expert = setup.load(backbone)
    new = [row for row in rows if row.origin == "new"]
    setup.fit(expert, new, loss, None, Memory(), resume)
    expert.eval()
    return expert
