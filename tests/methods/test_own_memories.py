"""What single methods keep or train: rows, logits, Fisher information, an expert."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel

from lamol_core.artifacts.tables import read_rows
from lamol_core.errors import ArtifactError
from lamol_core.methods.ewc import EwcParams
from lamol_core.methods.ewc_memory import FisherMemory
from lamol_core.methods.memory import MemoryContext
from lamol_core.methods.replay import ReplayParams, RowMemory
from lamol_core.parameters import Params
from lamol_core.records import MEMORY_SCHEMA, MemoryRow, from_table
from lamol_core.text.codecs import load_codec
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.setup import TrainingSetup
from tests.fakes import TEMPLATE, Decodes, Turns, make_rows
from tests.messages import naming
from tests.methods.trainings import BUFFER, REMEMBERING, RESERVOIRS, learn, params_of, real_rows


def test_a_memory_of_another_method_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    learn(tmp_path, 0, params_of("finetune"), tiny_checkpoint)
    assert {"derpp", "ewc", "replay"} <= set(REMEMBERING)
    for method in REMEMBERING:
        with pytest.raises(ArtifactError, match=naming("dvc repro")):
            learn(tmp_path, 1, params_of(method), tiny_checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize("method", RESERVOIRS)
def test_a_memory_of_another_size_is_refused(
    method: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    params = params_of(method)
    learn(tmp_path, 0, params, tiny_checkpoint)
    larger = params.chosen.params.model_copy(update={"buffer_size": BUFFER + 1})
    with pytest.raises(ArtifactError, match=naming("buffer_size", BUFFER, BUFFER + 1)):
        learn(tmp_path, 1, params.model_copy(update={method: larger}), tiny_checkpoint)


def test_a_step_recalls_as_many_rows_as_its_batch_takes_and_each_step_others() -> None:
    params = ReplayParams(buffer_size=BUFFER, batch_size=3)
    memory = RowMemory(params, MemoryContext(0, TEMPLATE, Decodes(str)))
    memory.observe(make_rows(BUFFER, 0), logits_of=lambda rows: [])
    assert len(memory.rows(0)) == 3
    assert memory.rows(0) == memory.rows(0) != memory.rows(1)


def test_a_row_comes_back_with_its_earlier_turns(tmp_path: Path) -> None:
    context = MemoryContext(0, Turns(one_end=True), Decodes(str))
    row = context.template.row("a/train/0", "new", "a", (9,), (8,), [([7, 8], [9]), ([6], [7])])
    memory, again = (RowMemory(ReplayParams(), context) for _ in range(2))
    memory.observe([row], logits_of=lambda rows: [])
    memory.write(tmp_path)
    again.read(tmp_path)
    (kept,), (read,) = memory.rows(0), again.rows(0)
    assert kept.views(("qa",)) == read.views(("qa",)) != []
    assert [*read.history] == [([7, 8], [9]), ([6], [7])]


@pytest.mark.slow
def test_derpp_keeps_the_logits_that_a_row_came_with(tiny_checkpoint: Path, tmp_path: Path) -> None:
    params = params_of("derpp")
    learn(tmp_path, 0, params, tiny_checkpoint)
    first = load_file(tmp_path / "a" / "state" / "logits.safetensors")
    rows = from_table(read_rows(tmp_path / "a/state/memory.parquet", MEMORY_SCHEMA, ""), MemoryRow)
    assert len(first) == len(rows)
    for row in rows:
        logits = first[f"{row.slot:06d}"]
        assert logits.dtype == torch.float16 and len(logits) == len(row.target_ids) + 1
    trained = learn(tmp_path, 1, params, tiny_checkpoint)
    second = load_file(tmp_path / "b" / "state" / "logits.safetensors")
    later = from_table(read_rows(tmp_path / "b/state/memory.parquet", MEMORY_SCHEMA, ""), MemoryRow)
    stayed = [row.slot for row in later if row.row_id.startswith("a/")]
    assert stayed, "some row of the first task is still there"
    for slot in stayed:
        assert torch.equal(first[f"{slot:06d}"], second[f"{slot:06d}"])
    assert trained.log_rows[0]["mse_qa_memory"] > 0 and trained.log_rows[0]["ce_qa_memory"] > 0


def test_derpp_s_logits_are_those_that_tell_the_answer(
    dropping_checkpoint: Path, tmp_path: Path
) -> None:
    """Of its own row, one position before each token of it, without dropout: with a student that
    stands still."""
    params = params_of("derpp")
    still = params.train.model_copy(update={"learning_rate": 1e-12})
    params = params.model_copy(update={"train": still})
    model = learn(tmp_path, 0, params, dropping_checkpoint).model.eval()
    control = load_codec(dropping_checkpoint).control
    stored = load_file(tmp_path / "a" / "state" / "logits.safetensors")
    rows = from_table(read_rows(tmp_path / "a/state/memory.parquet", MEMORY_SCHEMA, ""), MemoryRow)
    assert len({row.row_id for row in rows}) > 2
    for row in rows:
        read, said = [*row.input_ids, control.ans], [*row.target_ids, control.eos]
        with torch.no_grad():
            logits = model(torch.tensor([read + said])).logits[0, len(read) - 1 : -1]
        torch.testing.assert_close(
            stored[f"{row.slot:06d}"].float(), logits, rtol=2e-3, atol=2e-3, msg=row.row_id
        )


@pytest.mark.parametrize("case", ["ewc", "ewc+lora"])
def test_fisher_information_is_the_mean_of_each_row_s_own_squared_gradient(
    case: str, dropping_checkpoint: Path, tmp_path: Path
) -> None:
    """Of the weights that are trained, without dropout."""
    params = Params.model_validate(
        {**params_of(case).model_dump(by_alias=True), "ewc": {"fisher_rows": None}}
    )
    model, codec = (
        learn(tmp_path, 0, params, dropping_checkpoint).model.eval(),
        load_codec(dropping_checkpoint),
    )
    rows = real_rows("a")
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all("lora" in name or "token" in name for name in trained) == ("lora" in case)
    expected = {name: torch.zeros_like(p) for name, p in trained.items()}
    for row in rows:
        (x,), (y,) = codec.encode([row.input]), codec.encode([row.target])
        read, said = [*x, codec.control.ans], [*y, codec.control.eos]
        logits = model(torch.tensor([read + said])).logits[0, len(read) - 1 : -1]
        model.zero_grad()
        torch.nn.functional.cross_entropy(logits, torch.tensor(said), reduction="sum").backward()
        for name, parameter in trained.items():
            assert parameter.grad is not None
            expected[name] += parameter.grad**2 / len(rows)
    fisher = load_file(tmp_path / "a" / "state" / "fisher.safetensors")
    assert fisher.keys() == expected.keys()
    for name, square in expected.items():
        torch.testing.assert_close(fisher[name], square, rtol=1e-3, atol=1e-6)


def test_fisher_information_is_the_mean_over_rows_that_the_seed_chooses(tmp_path: Path) -> None:
    rows, model = make_rows(8, 0), nn.Linear(1, 1, bias=False)
    seen: list[EncodedRow] = []

    def backward(row: EncodedRow) -> None:
        seen.append(row)
        model.weight.sum().backward()

    memory = FisherMemory(EwcParams(fisher_rows=2), seed=0)
    memory.finish(model, rows, backward)
    memory.write(tmp_path)
    assert len(seen) == 2 and seen != rows[:2]
    assert load_file(tmp_path / "fisher.safetensors")["weight"].item() == 1.0


@pytest.mark.slow
def test_ewc_holds_the_weights_that_mattered(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A strong penalty keeps the weights that the Fisher information is large for in place."""
    params = params_of("ewc")
    learn(tmp_path, 0, params, tiny_checkpoint)
    fisher = load_file(tmp_path / "a" / "state" / "fisher.safetensors")
    assert (
        all((f >= 0).all() for f in fisher.values()) and sum(f.sum() for f in fisher.values()) > 0
    )
    trained = learn(tmp_path, 1, params, tiny_checkpoint)
    assert trained.log_rows[0]["penalty"] == 0 and trained.log_rows[-1]["penalty"] > 0
    for row in trained.log_rows:
        assert row["loss"] == pytest.approx(row["ce_qa"] + row["penalty"])
    both = load_file(tmp_path / "b" / "state" / "fisher.safetensors")
    assert all((both[name] >= f).all() for name, f in fisher.items()), "tasks are added up"

    def moved(weight: float) -> float:
        changed = Params.model_validate(
            {**params.model_dump(by_alias=True), "ewc": {"weight": weight, "fisher_rows": 5}}
        )
        student = learn(tmp_path, 1, changed, tiny_checkpoint).model
        before = load_file(tmp_path / "a" / "student" / "model.safetensors")
        return sum(
            float((fisher[name] * (p.detach() - before[name]) ** 2).sum())
            for name, p in student.named_parameters()
            if name in before
        )

    assert moved(1e6) < 0.5 * moved(0.0)


@pytest.mark.slow
def test_an_expert_is_the_backbone_trained_on_the_new_task_alone(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first task student and expert start alike, and the expert has already learnt: the
    divergence begins high and falls, and no cross-entropy is asked of new rows."""
    trained = learn(tmp_path, 0, params_of("l2kd"), tiny_checkpoint)
    losses = [row["kl_qa"] for row in trained.log_rows]
    assert losses[0] > 0 and losses[-1] < losses[0]
    assert all(row["ce_qa"] == 0 for row in trained.log_rows), "there are no pseudo rows yet"

    loaded: list[Path] = []
    models: list[weakref.ref[PreTrainedModel]] = []
    original = TrainingSetup.load

    def load(self: TrainingSetup, checkpoint: Path) -> PreTrainedModel:
        gc.collect()
        assert not any(model() for model in models), "the expert is gone before the student comes"
        loaded.append(checkpoint)
        model = original(self, checkpoint)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr(TrainingSetup, "load", load)
    later = learn(tmp_path, 1, params_of("l2kd"), tiny_checkpoint)
    assert loaded == [tiny_checkpoint, tmp_path / "a" / "student"], "the expert, then the student"
    assert any(row["ce_qa"] > 0 for row in later.log_rows)
