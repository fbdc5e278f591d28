"""A model of which config.json alone is there: its numbers, its memory, and what is tried."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from transformers import AutoModelForCausalLM, ByT5Tokenizer

from lamol_core.errors import ConfigError
from lamol_core.models.adapters import add_adapter
from lamol_core.models.nano import build_nano
from lamol_core.models.probe import read_shapes_of
from lamol_core.models.shapes import Shapes, TriedBlock, UntriedBlock
from lamol_core.parameters import Params
from lamol_core.preflight.block_rates import Workload, weights_of
from lamol_core.preflight.check import check_all
from lamol_core.preflight.estimate import estimate_sequence
from lamol_core.preflight.footprint import Footprint, Weights, other_settings, what_would_fit
from lamol_core.preflight.overview import describe_sequence
from lamol_core.preflight.row_tokens import share_computed
from lamol_core.preflight.unloaded import CHARACTERS, find_unloaded
from lamol_core.text.codecs import load_codec
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.template import NUM_CONTROL, TaskPrompts
from lamol_core.text.tokenizer import reserved_tokens
from tests.fakes import CORPUS, tiny_backbone_params
from tests.messages import names, naming
from tests.text.chat_families import chatml

QWEN = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 1536,
    "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
    "intermediate_size": 8960, "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "intermediate_size": 14336, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip
TINY = LLAMA | {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 64, "vocab_size": 512, "max_position_embeddings": 128,
}  # fmt: skip
CPU = torch.device("cpu")


def with_config(root: Path, config: dict[str, Any], **blocks: Any) -> dict[str, Any]:
    """The parameters of two tasks, with a folder that holds config.json alone."""
    (root / "model").mkdir(exist_ok=True)
    (root / "model" / "config.json").write_text(json.dumps(config))
    rows = "".join(f"turn the light {i},{'on' if i % 2 else 'off'}\n" for i in range(40))
    (root / "a.csv").write_text("input,target\n" + rows)
    source = {"kind": "csv", "path": "a.csv"}
    tasks = {"a": {"after": "base", "source": source}, "b": {"after": "a", "source": source}}
    folder = {"kind": "folder", "path": "model"}
    return {"tasks": tasks, "backbone": folder, "train": {"precision": "fp32"}, **blocks}


@pytest.mark.parametrize(
    ("config", "num_weights", "num_in_head"),
    [(QWEN, 1_543_714_304, 151936 * 1536), (LLAMA, 8_030_261_248, 128256 * 4096)],
)
def test_weights_are_counted_by_the_configuration(
    tmp_path: Path, config: dict[str, Any], num_weights: int, num_in_head: int
) -> None:
    with_config(tmp_path, config)
    shapes = Shapes.of(read_shapes_of(tmp_path / "model", "model"))
    assert (shapes.num_weights, shapes.num_head_weights) == (num_weights, num_in_head)
    tables = num_in_head if config["tie_word_embeddings"] else 2 * num_in_head
    assert shapes.num_block_weights == num_weights - tables and shapes.has_plain_head
    assert shapes.num_blocks == config["num_hidden_layers"]


@pytest.mark.slow
@pytest.mark.parametrize("config", [QWEN, pytest.param(LLAMA, marks=pytest.mark.long)])
def test_a_large_model_is_estimated_and_never_allocated(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    """In a process of its own, whose peak memory shows it: the weights take 6 and 32 GB."""
    data = with_config(tmp_path, config)
    code = (
        "import json, sys, time; from pathlib import Path; "
        "from lamol_core.machine import peak_memory_bytes; "
        "from lamol_core.parameters import Params; "
        "from lamol_core.preflight.estimate import estimate_sequence; "
        "data = json.loads(sys.argv[1]); "
        "found = estimate_sequence(Params.model_validate(data), Path(sys.argv[2])); "
        "cost = peak_memory_bytes(), time.process_time(); "
        "print(json.dumps([found.as_dict(), found.notes, *cost]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(data), str(tmp_path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    told, notes, peak_bytes, cpu_s = json.loads(done.stdout)
    assert peak_bytes < 1.5e9
    assert cpu_s < 40, "of the processor: other work on the machine does not count"
    weights = told["parameters"]
    assert told["memory"]["weights"] == 4 * weights
    assert told["memory"]["moments of AdamW"] == 8 * weights
    assert told["peak_memory_bytes"] == sum(told["memory"].values()) > 16 * weights
    assert told["disk_bytes"] == 3 * 4 * weights, "the backbone and two students"
    assert told["seconds"] > 300 and any("characters" in note for note in notes)


def test_a_model_without_weights_or_tokenizer_is_told_and_estimated(tmp_path: Path) -> None:
    data = with_config(tmp_path, TINY)
    whole = Params.model_validate(data).model_dump(mode="json", by_alias=True)
    assert len(check_all(whole, tmp_path).problems) == 2
    found = check_all(whole, tmp_path, config_alone=True)
    assert found.problems == [] and len(found.missing) == 2
    assert names(" ".join(found.missing), "backbone.path", "model.safetensors", "tokenizer.json")
    estimate = estimate_sequence(Params.model_validate(data), tmp_path)
    assert estimate.num_weights == 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64 + 64) + 32 + 2 * (
        512 * 32
    )
    assert estimate.memory["weights"] == 4 * estimate.num_weights
    assert estimate.total_s > 0 and estimate.memory_rows()[-1]["memory of a training"] == "in all"
    assert any(str(CHARACTERS) in note for note in estimate.notes)
    (tmp_path / "model" / "model.safetensors").write_bytes(b"broken")
    (problem,) = check_all(whole, tmp_path, config_alone=True).problems
    assert names(problem, "model.safetensors"), "what is there must be right"
    (tmp_path / "model" / "config.json").write_text(json.dumps(TINY | {"hidden_size": -1}))
    with pytest.raises(ConfigError, match=naming("config.json")):
        find_unloaded(Params.model_validate(data), tmp_path)


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 0}, {"vocab_size": 0}])
def test_a_model_without_blocks_or_words_is_refused(tmp_path: Path, changes: dict) -> None:
    params = Params.model_validate(with_config(tmp_path, TINY | changes))
    with pytest.raises(ConfigError):
        estimate_sequence(params, tmp_path)


@pytest.mark.parametrize("train", [{"epochs": 3}, {"steps": 6, "epochs": 1}])
def test_epochs_are_those_of_the_steps(
    train: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher's states are stored once, however often the rows are read."""
    read: list[float] = []

    def enough(unloaded: object, params: object, work: Workload) -> NoReturn:
        read.append(work.epochs)
        raise ConfigError("enough")

    monkeypatch.setattr("lamol_core.preflight.estimate.reckon", enough)
    data = with_config(tmp_path, TINY, method="finetune")
    params = Params.model_validate({**data, "train": {"batch_size": 8, **train}})
    with pytest.raises(ConfigError):
        estimate_sequence(params, tmp_path)
    num_rows = describe_sequence(params, tmp_path)[0].facts.num_rows["train"]
    assert read == [6 * 8 / num_rows if "steps" in train else 3]


def test_turns_are_counted_without_a_tokenizer(tmp_path: Path) -> None:
    params = with_config(tmp_path, TINY, text={"format": "chat"})
    roles = ("user", "assistant") * 2
    chats = ([{"role": role, "content": f"turn {i}"} for role in roles] for i in range(30))
    lines = [json.dumps({"messages": chat}) + "\n" for chat in chats]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    params["tasks"]["a"]["source"] = {"kind": "jsonl", "path": "a.jsonl"}
    assert estimate_sequence(Params.model_validate(params), tmp_path).total_s > 0


def test_what_chat_rows_begin_with_is_reckoned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[float] = []

    def share(rows: Sequence[EncodedRow], params: Params) -> float:
        found.append(share_computed(rows, params))
        return found[-1]

    monkeypatch.setattr("lamol_core.preflight.block_rates.share_computed", share)
    params = Params.model_validate(with_config(tmp_path, TINY, text={"format": "chat"}))
    estimate_sequence(params, tmp_path)
    chatml().save_pretrained(tmp_path / "model")
    once = estimate_sequence(params, tmp_path).memory["activations"]
    without_tokenizer, of_chat = found
    assert without_tokenizer == 1.0 and 0.1 < of_chat < 0.7
    monkeypatch.setattr("lamol_core.preflight.block_rates.share_computed", lambda *_: 1.0)
    each_time = estimate_sequence(params, tmp_path).memory["activations"]
    assert once == pytest.approx(of_chat * each_time, rel=1e-3)


def test_a_tokenizer_that_can_t_lay_out_chats_is_refused(tmp_path: Path) -> None:
    tokenizer = ByT5Tokenizer()
    tokenizer.chat_template = chatml().chat_template
    params = Params.model_validate(with_config(tmp_path, TINY, text={"format": "chat"}))
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(ConfigError, match=naming("backbone.path", "ByT5Tokenizer")):
        find_unloaded(params, tmp_path)


def test_rows_are_counted_by_the_tokenizer_where_there_is_one(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    data = with_config(tmp_path, TINY)
    model, tokenizer = build_nano(tiny_backbone_params().nano, CORPUS)
    tokenizer.save_pretrained(tmp_path / "model")
    unloaded = find_unloaded(Params.model_validate(data), tmp_path)
    assert unloaded is not None and unloaded.notes == ()
    texts = ["turn the light on", "off"]
    assert unloaded.codec.encode(texts) == load_codec(tiny_checkpoint).encode(texts)
    template = unloaded.codec.template(TaskPrompts(["a"]))
    assert template.num_around("a", ()) == NUM_CONTROL["gen"]
    model.save_pretrained(tmp_path / "model")
    assert find_unloaded(Params.model_validate(data), tmp_path) is None, "small and whole: tried"


def test_one_block_stands_for_all(tmp_path: Path) -> None:
    with_config(tmp_path, TINY)
    model = read_shapes_of(tmp_path / "model", "model")
    blocks = Shapes.of(model).num_block_weights
    for attention in ("packed", "sdpa"):
        block = TriedBlock(
            read_shapes_of(tmp_path / "model", "model"), torch.float32, attention, CPU
        )
        assert 2 * block.num_weights == blocks - 32, "all but the last norm"
        forward, step = block.seconds(3, 5)
        assert forward > 0 and step > 0
    saved = block.saved_bytes(2, 6)
    assert saved == pytest.approx(2 * block.saved_bytes(1, 6), rel=0.1)
    # of Llama, in units of the width: 6 at the norms, queries and their result, keys, values, MLP
    assert saved / (4 * 32 * 12) == pytest.approx(6 + 2 + 2 * 0.5 + 4 * 2, rel=0.25)
    bloom = {"model_type": "bloom", "architectures": ["BloomForCausalLM"], "hidden_size": 32}
    with_config(tmp_path, bloom | {"n_layer": 2, "n_head": 4, "vocab_size": 64})
    alone = TriedBlock(read_shapes_of(tmp_path / "model", "model"), torch.float32, "packed", CPU)
    with pytest.raises(UntriedBlock):
        alone.seconds(2, 4)


def footprint(**changes: Any) -> Footprint:
    return Footprint(
        **{
            "weights": Weights(1_000_000_000, head=100_000_000), "bytes_per_weight": 4,
            "num_micro_batches": 1, "teacher": "offline", "saved_bytes": 3_000_000_000,
            "saved_by_block": 100_000_000, "input_bytes": 200_000_000, "logit_bytes": 0, **changes,
        }
    )  # fmt: skip


def test_memory_by_hand() -> None:
    parts = footprint().parts
    assert parts["weights"] == 4e9 and parts["moments of AdamW"] == 8e9
    assert parts["gradients"] == 4.4e9 and parts["teacher"] == 0.4e9
    assert parts["rest of the fp32 masters"] == 0 and parts["activations"] == 3.1e9
    half = footprint(bytes_per_weight=2, teacher="online").parts
    assert half["weights"] == half["rest of the fp32 masters"] == half["teacher"] == 2e9
    assert half["gradients"] == 2.2e9
    summed = footprint(bytes_per_weight=2, num_micro_batches=3, teacher="none").parts
    assert summed["gradients"] == 6.2e9 and summed["teacher"] == 0
    assert footprint(has_checkpointing=True).parts["activations"] == 0.3e9
    assert footprint(kept_per_weight=1).total - footprint().total == 8e9


def test_frozen_weights_have_no_gradients_and_no_moments() -> None:
    frozen = footprint(weights=Weights(1_000_000, 999_000_000, 100_000_000)).parts
    assert frozen["weights"] == 4e9
    assert frozen["moments of AdamW"] == 8e6 and frozen["gradients"] == 4e6


def test_what_would_fit_is_named() -> None:
    own = footprint(num_micro_batches=1)
    adapted = Weights(1_000_000, 1_000_000_000, 100_000_000)
    others = other_settings(own, has_fast_bf16=True, adapted=adapted)
    assert what_would_fit(own, others, int(own.total / 0.9) + 1) == []
    told = " ".join(what_would_fit(own, others, 19_000_000_000))
    assert names(told, "train.gradient_checkpointing") and names(told, "train.precision", "bf16")
    none = " ".join(what_would_fit(own, others, 8_000_000_000))
    assert "train.precision" not in none and names(none, "parameters")
    assert names(" ".join(what_would_fit(own, others, 10_000_000_000)), "adapter.kind: lora")


@pytest.mark.parametrize("is_tied", [True, False])
def test_an_adapter_is_counted_as_peft_makes_it(tmp_path: Path, is_tied: bool) -> None:
    with_config(tmp_path, TINY | {"tie_word_embeddings": is_tied})
    model = read_shapes_of(tmp_path / "model", "model")
    params = Params.model_validate({"tasks": {}, "adapter": {"kind": "lora", "r": 3}})
    counted = weights_of(Shapes.of(model), params, "lora")
    trained = AutoModelForCausalLM.from_config(model.config)
    reserved = range(len(reserved_tokens(params.backbone.max_tasks)))
    add_adapter(trained, params.adapter, reserved, seed=0)
    assert counted.trainable == trained.num_parameters(only_trainable=True)
