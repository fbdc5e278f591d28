"""A stored teacher gives the logits of the model that it was made of."""

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
from lamol_core.training.batches import MicroBatch, micro_batches
from lamol_core.training.hidden_states import as_body
from lamol_core.training.objective import losses_of
from lamol_core.training.teacher import stored as module
from lamol_core.training.teacher.online import OnlineTeacher
from lamol_core.training.teacher.stored import STATES, StoredTeacher, num_bytes, store_states
from tests.fakes import ARCHITECTURES, make_rows, sharpen
from tests.messages import naming

ROWS = [row for row in make_rows(3, 15) if row.origin == "pseudo"]
BOTH: tuple[View, ...] = ("qa", "gen")
PROVENANCE = Provenance({"teacher": "abc"})


def store(
    model: PreTrainedModel, folder: Path, shift: int = 1, provenance: Provenance = PROVENANCE
) -> StoredTeacher:
    with as_body(model) as body:
        return store_states(body, micros(ROWS, 40), shift, folder, provenance)


def micros(rows: list[EncodedRow], max_tokens: int = 64) -> list[MicroBatch]:
    return micro_batches(rows, BOTH, max_tokens)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_stored_states_give_the_logits_of_the_online_teacher(
    architecture: str, shift: int, dtype: torch.dtype, tmp_path: Path
) -> None:
    model = sharpen(ARCHITECTURES[architecture]()).to(dtype)
    stored = store(model, tmp_path / "states", shift)
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    some = [ROWS[i] for i in (9, 2, 11, 5)]
    with as_body(model) as body:
        online = OnlineTeacher(body)
        for micro in micros(some):
            expected = head_of(online).logits(online.states(micro, shift))
            logits = head_of(stored).logits(stored.states(micro, shift))
            assert len(logits) > 0 and logits.dtype == dtype
            torch.testing.assert_close(logits, expected, rtol=tolerance, atol=tolerance)


def head_of(teacher: OnlineTeacher | StoredTeacher) -> LinearHead:
    assert teacher.head is not None
    return teacher.head


def test_the_size_is_known_beforehand(tmp_path: Path) -> None:
    stored = store(sharpen(ARCHITECTURES["llama"]()), tmp_path / "states")
    size = (tmp_path / "states" / STATES).stat().st_size
    assert 0 < size == num_bytes(micros(ROWS), head_of(stored))


def test_the_head_is_the_teachers_own(tmp_path: Path) -> None:
    """A student that starts as the same weights, tied, does not move it."""
    model = sharpen(ARCHITECTURES["llama"]())
    stored = store(model, tmp_path / "states")
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
    original = module.atomic_folder
    monkeypatch.setattr(module, "atomic_folder", lambda p: (written.append(p), original(p))[1])
    store(model, folder)
    assert len(written) == 1
    store(model, folder)
    assert len(written) == 1, "the same teacher on the same rows"
    store(model, folder, provenance=Provenance({"teacher": "other"}))
    assert len(written) == 2
    states = (folder / STATES).read_bytes()
    (folder / STATES).write_bytes(states[:-1])
    store(model, folder, provenance=Provenance({"teacher": "other"}))
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
    stored = store(model, tmp_path / "states")
    (idle,) = micro_batches(ROWS[:1], BOTH, 64, 1, 2)
    assert idle.num_tokens == 0 and idle.members[0].origin == "pseudo"
    with as_body(sharpen(ARCHITECTURES["llama"]())) as body:
        loss = losses_of(idle, LamolKd(LamolKdParams()).loss, {}, body, body.head, {"kl": stored})
        loss.total.backward()
    assert loss.total.item() == 0
