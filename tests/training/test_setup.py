"""The models of one training, where there is an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from transformers import PreTrainedModel

from lamol_core.models.params import AdapterParams
from lamol_core.training.params import TrainParams
from lamol_core.training.setup import TrainingSetup
from tests.fakes import tiny_gemma2, tiny_llama


def shares_backbone(model: PreTrainedModel, folder: Path, targets: str) -> bool:
    """Whether a teacher's embeddings are those of its student in memory."""
    model.save_pretrained(folder)
    params = TrainParams.model_validate({"precision": "fp32", "teacher_targets": targets})
    setup = TrainingSetup(params, AdapterParams(kind="lora", r=2), [], [], 0, lambda *_: None)
    student = setup.load_student(folder)
    teacher = setup.load_teacher(folder, lambda: student)
    assert teacher is not student
    tables = (one.get_input_embeddings().weight.data_ptr() for one in (student, teacher))
    return len({*tables}) == 1


@pytest.mark.parametrize(("kind", "rate"), [("none", 0.5), ("lora", 0.25)])
def test_an_adapter_has_a_learning_rate_of_its_own(
    kind: Literal["none", "lora"], rate: float
) -> None:
    params, adapter = TrainParams(learning_rate=0.5), AdapterParams(kind=kind, learning_rate=0.25)
    setup = TrainingSetup(params, adapter, [], [], 0, lambda *_: None)
    assert setup.params.learning_rate == rate


@pytest.mark.parametrize("targets", ["online", "offline"])
def test_a_teacher_that_runs_beside_its_student_shares_the_backbone(
    targets: str, tmp_path: Path
) -> None:
    assert shares_backbone(tiny_llama(), tmp_path / "llama", targets) == (targets == "online")
    # logits that are capped are no product of stored states and a head
    assert shares_backbone(tiny_gemma2(), tmp_path / "gemma2", targets)
