"""The models of one training, where there is an adapter."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Literal

import pytest
import torch
from transformers import PreTrainedModel

from lamol_core.artifacts.manifest import Provenance
from lamol_core.models.head import without_own_rows
from lamol_core.models.params import AdapterParams
from lamol_core.training.batches import MicroBatch
from lamol_core.training.hidden_states import as_body
from lamol_core.training.params import TrainParams
from lamol_core.training.setup import TrainingSetup
from lamol_core.training.teacher.stored import store_states
from tests.fakes import make_rows, tiny_gemma2, tiny_llama
from tests.models.test_adapters import adapted


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


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("reserved", [(), (3, 7)])
def test_a_stored_teacher_has_the_head_of_its_student_but_for_reserved_tokens(
    reserved: tuple[int, ...], tied: bool, tmp_path: Path
) -> None:
    tiny_llama(tie_word_embeddings=tied).save_pretrained(tmp_path / "backbone")
    adapter = AdapterParams(kind="lora", r=2)
    setup = TrainingSetup(TrainParams(precision="fp32"), adapter, [], reserved, 0, lambda *_: None)
    before, student = (setup.load_student(tmp_path / "backbone") for _ in range(2))
    with torch.no_grad():
        for weight in before.parameters():
            if weight.requires_grad:
                weight += 0.1
    shift, views = 1, [view for row in make_rows(1, 2) for view in row.views(("qa",))]
    micro = MicroBatch.of(sorted(views, key=lambda view: len(view.ids)))
    with as_body(before) as body:
        stored = store_states(body, [micro], shift, tmp_path / "states", Provenance())
    assert stored.head is not None
    expected = stored.head.logits(states := stored.states(micro, shift))
    setup.share_head(stored, student)
    table, _ = without_own_rows(student.get_output_embeddings())
    assert stored.head.weight.data_ptr() == table.weight.data_ptr()
    torch.testing.assert_close(stored.head.logits(states), expected)


@pytest.mark.parametrize("targets", ["online", "offline"])
def test_a_teacher_that_runs_beside_its_student_shares_the_backbone(
    targets: str, tmp_path: Path
) -> None:
    assert shares_backbone(tiny_llama(), tmp_path / "llama", targets) == (targets == "online")
    # logits that are capped are no product of stored states and a head
    assert shares_backbone(tiny_gemma2(), tmp_path / "gemma2", targets)


def test_a_model_is_freed_when_nothing_needs_it() -> None:
    """A teacher or an expert is gone before its student is trained."""
    model = adapted(tiny_llama())
    gc.disable()
    try:
        weights = [
            weakref.ref(module.weight) for module in model.modules() if hasattr(module, "weight")
        ]
        del model
        assert len(weights) > 20 and not any(weight() is not None for weight in weights)
    finally:
        gc.enable()
