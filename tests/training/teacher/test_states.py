"""What a teacher left on disk is what it would have said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from lamol_core.artifacts.manifest import Provenance
from lamol_core.errors import ConfigError
from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.models.head import LinearHead
from lamol_core.records import View
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.batches import MicroBatch, OptimizerBatch
from lamol_core.training.hidden_states import as_body
from lamol_core.training.objective import losses_of
from lamol_core.training.teacher import states as module
from lamol_core.training.teacher.states import (
    OnlineTeacher,
    StatesPlan,
    StoredTeacher,
    store_states,
)
from tests.fakes import ARCHITECTURES, CONTROL, make_rows, sharpen
from tests.messages import naming

ROWS = [row for row in make_rows(3, 15) if row.origin == "pseudo"]
BOTH: tuple[View, ...] = ("qa", "gen")
PROVENANCE = Provenance({"shift": 1}, {"teacher": "abc"})


def store(
    model: PreTrainedModel, folder: Path, shift: int = 1, provenance: Provenance = PROVENANCE
) -> tuple[StatesPlan, StoredTeacher]:
    with as_body(model) as body:
        assert body.head is not None
        plan = StatesPlan.of(ROWS, BOTH, CONTROL, 40, shift, body.head)
        return plan, store_states(body, plan, folder, provenance)


def micros(rows: list[EncodedRow], max_tokens: int = 64) -> list[MicroBatch]:
    return OptimizerBatch(tuple(rows)).micro_batches(BOTH, CONTROL, max_tokens, 0, 1)


@pytest.mark.parametrize("shard_bytes", [10**9, 400])
@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_stored_states_give_the_logits_of_the_online_teacher(
    architecture: str, shift: int, shard_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARD_BYTES", shard_bytes)
    model = sharpen(ARCHITECTURES[architecture]())
    plan, stored = store(model, tmp_path / "states", shift)
    assert (len(list((tmp_path / "states").glob("*.safetensors"))) > 1) == (shard_bytes == 400)
    some = [ROWS[i] for i in (9, 2, 11, 5)]
    with as_body(model) as body:
        online = OnlineTeacher(body)
        for micro in micros(some):
            wanted = head_of(online).logits(online.states(micro, shift))
            told = head_of(stored).logits(stored.states(micro, shift))
            assert len(told) > 0
            torch.testing.assert_close(told, wanted, rtol=1e-5, atol=1e-5)
    assert plan.num_tokens == sum(int((m.labels != -100).sum()) for m in micros(ROWS))


def head_of(teacher: OnlineTeacher | StoredTeacher) -> LinearHead:
    assert teacher.head is not None
    return teacher.head


def test_the_size_is_known_beforehand(tmp_path: Path) -> None:
    plan, _ = store(sharpen(ARCHITECTURES["llama"]()), tmp_path / "states")
    size = sum(file.stat().st_size for file in (tmp_path / "states").glob("*.safetensors"))
    assert 0 < plan.num_bytes <= size < plan.num_bytes + 1000


def test_the_head_is_the_teachers_own(tmp_path: Path) -> None:
    """A student that starts as the same weights, tied, does not move it."""
    model = sharpen(ARCHITECTURES["llama"]())
    _, stored = store(model, tmp_path / "states")
    before = head_of(stored).weight.clone()
    with torch.no_grad():
        model.get_output_embeddings().weight += 1
    assert torch.equal(head_of(stored).weight, before)
    assert not head_of(stored).weight.requires_grad


def test_states_are_found_again_and_others_are_not_taken_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, model = tmp_path / "states", sharpen(ARCHITECTURES["llama"]())
    written: list[Path] = []
    original = module.save_file
    monkeypatch.setattr(module, "save_file", lambda t, p: (written.append(p), original(t, p)))
    store(model, folder)
    assert len(written) == 1
    store(model, folder)
    assert len(written) == 1, "the same teacher on the same rows"
    store(model, folder, provenance=Provenance({"shift": 1}, {"teacher": "other"}))
    assert len(written) == 2
    shard = next(folder.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1])
    store(model, folder, provenance=Provenance({"shift": 1}, {"teacher": "other"}))
    assert len(written) == 3, "a broken file is no use"


def test_a_full_disk_is_told_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    named = (tmp_path / "states", "train.teacher_targets: online")
    with pytest.raises(ConfigError, match=naming(*named)):
        store(sharpen(ARCHITECTURES["llama"]()), tmp_path / "states")
    assert not (tmp_path / "states").exists()


def test_an_idle_process_asks_a_stored_teacher_nothing(tmp_path: Path) -> None:
    """Its row, which keeps it in step, is nobody's: no states were stored for it."""
    model = sharpen(ARCHITECTURES["llama"]())
    _, stored = store(model, tmp_path / "states")
    (idle,) = OptimizerBatch((ROWS[0],)).micro_batches(BOTH, CONTROL, 64, 1, 2)
    assert not idle.counts and idle.members[0].origin == "pseudo"
    with as_body(sharpen(ARCHITECTURES["llama"]())) as body:
        loss = losses_of(idle, LamolKd(LamolKdParams()).loss, {}, body, body.head, stored)
        loss.total.backward()
    assert loss.total.item() == 0
