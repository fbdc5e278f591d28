"""Adapters: only they learn, all losses and attentions run with them, and anyone can read them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from lamol_core.artifacts.spec import STUDENT
from lamol_core.config.task_names import BASE
from lamol_core.errors import ConfigError
from lamol_core.methods import losses
from lamol_core.models.adapters import NAME, add_adapter, load_adapter, save_adapter, share_backbone
from lamol_core.models.attention import PACKED, deviates
from lamol_core.models.checkpoints import load_model
from lamol_core.models.params import AdapterParams
from lamol_core.pipeline.init import make_params
from lamol_core.training.batches import count_supervised, micro_batches
from lamol_core.training.hidden_states import as_body
from lamol_core.training.objective import losses_of
from lamol_core.training.optimizer import MasterAdamW
from lamol_core.training.setup import checkpoint_activations
from lamol_core.training.teacher.online import OnlineTeacher
from tests.fakes import (
    ARCHITECTURES,
    CONTROL,
    GROUPED_ARCHITECTURES,
    OTHER_ARCHITECTURES,
    VOCABULARY,
    sharpen,
    tiny_llama,
)
from tests.methods.test_fused_losses import LargestTensor
from tests.preflight.sequences import write_model
from tests.stages.sequences import write_csv
from tests.training.naive import naive_lamol_kd
from tests.training.steps import KD, ROWS, pair

LORA = AdapterParams(kind="lora", r=2, alpha=8.0)
RESERVED = (CONTROL.ans, *CONTROL.never_in_text)
ALL = GROUPED_ARCHITECTURES | OTHER_ARCHITECTURES
IDS = torch.tensor([[CONTROL.ans, 9, 8, CONTROL.gen, 7, 12]])


def adapted(model: PreTrainedModel, rows: tuple[int, ...] = RESERVED) -> PreTrainedModel:
    """The model with an adapter that has learnt something, whatever it is."""
    add_adapter(model, LORA, rows, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.1 * torch.randn(weight.shape, generator=generator).to(weight.dtype)
    return model


def in_sequence(model: PreTrainedModel, root: Path) -> Path:
    """The folder of a student whose backbone lies where a sequence has it."""
    (root / "runs" / "a" / "student").mkdir(parents=True)
    model.save_pretrained(root / STUDENT.at(BASE))
    return root / "runs" / "a" / "student"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("architecture", ALL)
def test_a_layer_is_what_peft_has(architecture: str, dtype: torch.dtype) -> None:
    model = adapted(ALL[architecture]().to(dtype))
    for layer in [layer for layer in model.modules() if isinstance(layer, LoraLinear)]:
        found, expected = (
            _with_gradients(layer, forward)
            for forward in (layer.forward, LoraLinear.forward.__get__(layer))
        )
        assert len(found) == 4
        for mine, theirs in zip(found, expected, strict=True):
            assert not deviates(mine, theirs)


def _with_gradients(layer: Any, forward: Any) -> list[Tensor]:
    """The output of a layer, and the gradients of its input and of its adapter."""
    weight = layer.lora_A[NAME].weight
    generator = torch.Generator().manual_seed(2)
    states = torch.randn(2, 3, weight.shape[1], generator=generator).to(weight.dtype)
    given = [states.requires_grad_(), weight, layer.lora_B[NAME].weight]
    out = forward(states)
    return [out.detach(), *torch.autograd.grad(out.float().square().sum(), given)]


@pytest.mark.parametrize("architecture", ALL)
def test_a_new_adapter_changes_no_output_and_nothing_else_is_trained(architecture: str) -> None:
    model = sharpen(ALL[architecture]())
    whole = {id(p) for p in model.parameters()}
    with torch.no_grad():
        before = model(IDS).logits
        add_adapter(model, LORA, RESERVED, seed=0)
        torch.testing.assert_close(model(IDS).logits, before)
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert trained and not trained & whole


@pytest.mark.parametrize("architecture", ALL)
def test_a_step_changes_the_rows_of_reserved_tokens_and_no_other(architecture: str) -> None:
    model = sharpen(ALL[architecture]())
    tables = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
    before = [table.detach().clone() for table in tables]  # type: ignore[operator]
    add_adapter(model, LORA, RESERVED, seed=0)
    optimizer = MasterAdamW(model.parameters(), weight_decay=0.01)
    model(IDS, labels=IDS).loss.backward()
    optimizer.step(0.1)
    merged = model_of(model)
    after = [merged.get_input_embeddings().weight, merged.get_output_embeddings().weight]
    for old, new in zip(before, after, strict=True):
        changed = (old != new).any(dim=1).nonzero()[:, 0].tolist()  # type: ignore[union-attr]
        assert set(changed) == set(RESERVED)


def model_of(model: PreTrainedModel) -> PreTrainedModel:
    """The same model with plain layers, its adapter merged by peft."""
    from peft.tuners.lora import LoraModel

    tuner = LoraModel.__new__(LoraModel)
    torch.nn.Module.__init__(tuner)
    tuner.model, tuner.targeted_module_names = model, []
    tuner.peft_config = model.peft_config  # type: ignore[assignment]
    return tuner.merge_and_unload()  # type: ignore[no-any-return, operator]


@pytest.mark.parametrize("architecture", ALL)
def test_plain_transformers_reads_it_from_the_folder_of_the_sequence(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = sharpen(ALL[architecture]())
    student = in_sequence(model, tmp_path)
    with torch.no_grad():
        expected = adapted(model)(IDS).logits
        save_adapter(model, student)
        monkeypatch.chdir(tmp_path)
        plain = AutoModelForCausalLM.from_pretrained(student.relative_to(tmp_path))
        torch.testing.assert_close(plain(IDS).logits, expected)
        monkeypatch.chdir("/")
        ours = load_model(student, torch.device("cpu"))
        torch.testing.assert_close(ours(IDS).logits, expected, rtol=1e-4, atol=1e-4)
    kinds = {type(layer).__module__.partition(".")[0] for layer in ours.modules()}
    assert "peft" not in kinds, "merged weights are plain ones"


def test_weights_are_merged_in_fp32_and_rounded_once(tmp_path: Path) -> None:
    """The backbone is stored in fp32, the adapter as it was trained, in bf16."""
    whole: Any = sharpen(tiny_llama())
    student = in_sequence(whole, tmp_path)
    model = adapted(copy.deepcopy(whole).to(torch.bfloat16))
    save_adapter(model, student)
    layer: Any = model.model.layers[0].self_attn.q_proj
    a, b = (one[NAME].weight.detach().float() for one in (layer.lora_A, layer.lora_B))
    exact = whole.model.layers[0].self_attn.q_proj.weight + LORA.alpha / LORA.r * (b @ a)
    merged: Any = load_model(student, torch.device("cpu"))
    assert torch.equal(merged.model.layers[0].self_attn.q_proj.weight, exact.bfloat16())
    assert merged.model.rotary_emb.inv_freq.dtype == torch.float32


@pytest.mark.parametrize("attention", [PACKED, "eager"])
@pytest.mark.parametrize("architecture", ALL)
def test_loss_and_gradient_are_the_naive_ones(architecture: str, attention: str) -> None:
    """Of every weight that is trained. The naive ones are computed through peft's own layers."""
    model, teacher = pair(architecture)
    naive = copy.deepcopy(model)
    for one in (model, naive):
        adapted(one)
    for layer in naive.modules():
        layer.__dict__.pop("forward", None)  # peft's own embeddings
    with as_body(model, attention) as body, as_body(teacher, attention) as taught:
        assert (body.head is None) == (architecture == "gemma2")
        total = 0.0
        for micro in micro_batches(ROWS, KD.loss.views, 64):
            teachers: Any = {"kl": OnlineTeacher(taught)}
            denominators = count_supervised(ROWS, KD.loss.views)
            part = losses_of(micro, KD.loss, denominators, body, body.head, teachers).total
            part.backward()
            total += part.item()
    expected = naive_lamol_kd(naive, teacher, ROWS)
    expected.backward()
    assert total == pytest.approx(expected.item(), rel=1e-4)
    assert gradient_of(model).keys() == gradient_of(naive).keys() != set()
    for name, gradient in gradient_of(naive).items():
        assert (gradient_of(model)[name] - gradient).norm() < 1e-3 * gradient.norm() + 1e-7, name


def gradient_of(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_logits_of_all_tokens_never_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "CHUNK_BYTES", 4 * VOCABULARY * 4)
    model = adapted(tiny_llama())
    (micro,) = micro_batches(ROWS, KD.loss.views, 10**9)
    with as_body(model) as body, LargestTensor() as made:
        states = body(micro, micro.supervised - 1)
        segment = losses.Segment("ce", 1.0, micro.labels[micro.supervised])
        losses.losses_of_states(states, body.head, [segment]).total.backward()
    num_tokens = len(micro.supervised)
    assert made.largest < num_tokens * VOCABULARY
    table = model.get_input_embeddings().token_adapter.get_base_layer().weight  # type: ignore
    assert table.grad is None, "nothing as large as the embeddings is computed for them"


def test_activations_may_be_computed_again() -> None:
    plain, again = (adapted(tiny_llama()) for _ in range(2))
    checkpoint_activations(again)
    for model in (plain, again):
        model.train()(IDS, labels=IDS).loss.backward()
    for name, gradient in gradient_of(plain).items():
        torch.testing.assert_close(gradient_of(again)[name], gradient)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_teacher_beside_the_student_shares_its_backbone(architecture: str) -> None:
    student = adapted(ARCHITECTURES[architecture]())
    teacher = share_backbone(student)
    with torch.no_grad():
        before = teacher(IDS).logits
        torch.testing.assert_close(before, student(IDS).logits)
    owned = {p.data_ptr() for p in student.parameters() if p.requires_grad}
    shared = {p.data_ptr() for p in student.parameters() if not p.requires_grad}
    theirs = {p.data_ptr() for p in teacher.parameters()}
    assert shared <= theirs and not owned & theirs
    teacher.requires_grad_(False)
    student(IDS, labels=IDS).loss.backward()
    MasterAdamW(student.parameters(), 0.0).step(0.1)
    with torch.no_grad():
        assert torch.equal(teacher(IDS).logits, before), "the student's step is not the teacher's"
        assert not torch.allclose(student(IDS).logits, before)


def test_a_learnt_adapter_goes_on_where_it_was(tmp_path: Path) -> None:
    model = tiny_llama()
    student = in_sequence(model, tmp_path)
    again = copy.deepcopy(model)
    save_adapter(adapted(model), student)
    add_adapter(again, LORA, RESERVED, seed=5)
    load_adapter(again, student)
    with torch.no_grad():
        assert torch.equal(again(IDS).logits, model(IDS).logits)


@pytest.mark.parametrize(
    "changes", [{"r": 4}, {"alpha": 1.0}, {"targets": ["q_proj"]}], ids=["r", "alpha", "targets"]
)
def test_another_adapter_than_that_of_the_teacher_is_refused(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    student = in_sequence(tiny_llama(), tmp_path)
    save_adapter(adapted(tiny_llama()), student)
    other = tiny_llama()
    add_adapter(other, LORA.model_copy(update=changes), RESERVED, seed=0)
    with pytest.raises(ConfigError):
        load_adapter(other, student)


@pytest.mark.parametrize("targets", [["lm_head"], ["q_proj", "lm_head"], ["no_such"], []])
def test_layers_that_cannot_be_adapted_are_refused(targets: list[str]) -> None:
    wrong = LORA.model_copy(update={"targets": targets})
    with pytest.raises(ConfigError, match=r"q_proj.*v_proj"):
        add_adapter(tiny_llama(tie_word_embeddings=False), wrong, RESERVED, seed=0)


def test_names_are_written_in_an_order_of_their_own(tmp_path: Path) -> None:
    """peft keeps names of layers in sets, whose order differs from process to process."""
    save_adapter(adapted(tiny_llama()), tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "runs/base/student"
    lists = [value for value in config.values() if isinstance(value, list)]
    assert config["target_modules"] in lists and all(value == sorted(value) for value in lists)


@pytest.mark.parametrize(("billions", "kind"), [(0.9, "none"), (1.1, "lora")])
def test_a_large_model_gets_an_adapter(tmp_path: Path, billions: float, kind: str) -> None:
    tasks = [f"sums={write_csv(tmp_path / 'sums.csv', 'sums')}"]
    write_model(tmp_path / "model", {"n_positions": 512})
    num = round(billions * 1e9)
    tensor = {"dtype": "BF16", "shape": [num // 1000, 1000], "data_offsets": [0, 2 * num]}
    header = json.dumps({"weight": tensor}).encode()
    with (tmp_path / "model" / "model.safetensors").open("wb") as weights:
        weights.write(len(header).to_bytes(8, "little") + header)
        weights.truncate(8 + len(header) + 2 * num)  # a hole: it takes no room
    assert make_params(tasks, str(tmp_path / "model"), "lamol_kd")["adapter"]["kind"] == kind
