"""Backbones and checkpoints: seeded, plain, loadable by anyone, wrong paths named in a sentence."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
import torch

from lamol_core.artifacts.manifest import Provenance, check_folder, write_folder
from lamol_core.artifacts.spec import STATE, STUDENT
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.models.backbones import build_backbone
from lamol_core.models.checkpoints import load_model, save_checkpoint
from lamol_core.models.nano import COMMON_FROM, build_nano
from lamol_core.models.params import BackboneParams, NanoParams
from lamol_core.text.codecs import load_codec
from lamol_core.text.tokenizer import TextCodec
from tests.fakes import CORPUS, tiny_backbone_params, tiny_llama
from tests.messages import naming
from tests.text.chat_families import chatml

CPU = torch.device("cpu")


def weights_equal(left: torch.nn.Module, right: torch.nn.Module) -> bool:
    first, second = left.state_dict(), right.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_nano_is_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    hashes = []
    for name in ("1", "2"):
        torch.manual_seed(int(name))
        model, tokenizer = build_backbone(tiny_backbone_params(), Path(), CORPUS)
        save_checkpoint(tmp_path / name, model, Provenance(), tokenizer=tokenizer)
        hashes.append(check_folder(tmp_path / name, STUDENT.kind, "").content_sha256)
    assert hashes[0] == hashes[1]


def test_nano_of_another_seed_is_another_model_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    models = []
    for seed in (0, 1):
        params = tiny_backbone_params()
        nano = params.nano.model_copy(update={"seed": seed})
        models.append(build_backbone(params.model_copy(update={"nano": nano}), Path(), CORPUS)[0])
    assert not weights_equal(*models)
    assert torch.equal(torch.rand(3), expected)


def test_nano_of_the_defaults_is_small() -> None:
    # a corpus of many distinct words fills the vocabulary of the defaults
    rng = random.Random(0)
    corpus = ["".join(rng.choices("abcdefghij", k=8)) for _ in range(1500)] * COMMON_FROM
    model, tokenizer = build_backbone(BackboneParams(), Path(), corpus)
    assert len(tokenizer) == NanoParams().vocab_size + 3 + BackboneParams().max_tasks
    assert 500_000 < model.num_parameters() < 5_000_000
    assert not model.training and model.dtype == torch.float32


def test_a_word_of_few_texts_is_not_in_the_vocabulary_of_nano() -> None:
    rare = [f"call zebedee about row {row}" for row in range(COMMON_FROM - 1)] + ["zebedee " * 9]
    common = ["call quentin about it"] * COMMON_FROM
    _, tokenizer = build_backbone(tiny_backbone_params(), Path(), [*rare[1:], *common])
    vocabulary = " ".join(tokenizer.get_vocab())
    assert "quentin" in vocabulary and "zeb" not in vocabulary
    assert tokenizer.decode(tokenizer("call zebedee")["input_ids"]) == "call zebedee"


def test_nano_without_a_corpus_is_refused() -> None:
    with pytest.raises(ConfigError, match=naming("backbone.nano.corpus")):
        build_backbone(tiny_backbone_params(), Path(), [])


def test_a_folder_backbone_is_what_save_pretrained_wrote(tmp_path: Path) -> None:
    plain, tokenizer = build_nano(tiny_backbone_params().nano, CORPUS)
    plain.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    loaded, prepared = build_backbone(
        tiny_backbone_params(kind="folder", path="model"), tmp_path, []
    )
    direct, _ = build_backbone(tiny_backbone_params(), Path(), CORPUS)
    assert weights_equal(loaded, direct)
    assert TextCodec(prepared).encode(["book a flight"]) == [
        tokenizer("book a flight", add_special_tokens=False)["input_ids"]
    ]


@pytest.mark.parametrize("kind", ["folder", "gguf", "hub"])
def test_a_missing_path_is_named(kind: str) -> None:
    with pytest.raises(ConfigError, match=naming("params.yaml", "backbone.path")):
        build_backbone(tiny_backbone_params(kind=kind), Path(), [])


@pytest.mark.parametrize("kind", ["folder", "gguf"])
def test_a_path_that_is_not_there_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=naming("backbone.path", tmp_path / "nowhere")):
        build_backbone(tiny_backbone_params(kind=kind, path="nowhere"), tmp_path, [])


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=naming("backbone.path", tmp_path / "empty")):
        build_backbone(tiny_backbone_params(kind="folder", path="empty"), tmp_path, [])


def test_a_file_that_is_no_gguf_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"not a model")
    with pytest.raises(ConfigError, match=naming("backbone.path", tmp_path / "model.gguf")):
        build_backbone(tiny_backbone_params(kind="gguf", path="model.gguf"), tmp_path, [])


def test_gguf_is_asked_for_where_it_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match=naming("pip install 'lamol-kd[gguf]'")):
        build_backbone(tiny_backbone_params(kind="gguf", path="model.gguf"), tmp_path, [])


def test_a_checkpoint_is_plain(tiny_checkpoint: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, local_files_only=True)
    assert len(tokenizer) == model.get_input_embeddings().weight.shape[0]
    assert weights_equal(model, load_model(tiny_checkpoint, CPU))
    suffixes = {path.suffix for path in tiny_checkpoint.rglob("*") if path.is_file()}
    assert suffixes <= {".safetensors", ".json", ".jinja", ".txt"} and ".safetensors" in suffixes
    for path in tiny_checkpoint.rglob("*"):
        # a pickle of protocol 2 or later begins with 0x80, a zip of torch.save with PK
        assert path.read_bytes()[:1] != b"\x80" and path.read_bytes()[:2] != b"PK"


def test_a_saved_student_keeps_tokenizer_and_weights(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model = load_model(tiny_checkpoint, CPU).to(torch.bfloat16)
    out = tmp_path / "student"
    save_checkpoint(out, model, Provenance({"seed": 1}), tokenizer_from=tiny_checkpoint)
    manifest = check_folder(out, STUDENT.kind, "")
    assert manifest.parameters == {"seed": 1}
    assert load_model(out, CPU).dtype == torch.bfloat16
    assert load_model(out, CPU, torch.float32).dtype == torch.float32
    assert weights_equal(load_model(out, CPU), model)
    text = ["turn the light on <|lamol:ans|>"]
    assert load_codec(out).encode(text) == load_codec(tiny_checkpoint).encode(text)
    assert load_codec(out).control == load_codec(tiny_checkpoint).control


def test_a_broken_checkpoint_is_named(tiny_checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    with pytest.raises(ArtifactError, match=naming(f"{tmp_path}:")):
        load_model(tmp_path, CPU)
    broken = tmp_path / "broken"
    shutil.copytree(tiny_checkpoint, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=naming(broken)):
        load_model(broken, CPU)


def test_weights_in_a_pickle_are_not_loaded(tiny_checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "pickled"
    shutil.copytree(tiny_checkpoint, folder)
    model = load_model(tiny_checkpoint, CPU)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match=naming(folder)):
        load_model(folder, CPU)


def test_an_empty_state_is_sealed_and_checked(tmp_path: Path) -> None:
    provenance = Provenance({"seed": 1}, {"mix": "abc"})
    write_folder(tmp_path / "state", STATE.kind, provenance)
    manifest = check_folder(tmp_path / "state", STATE.kind, "Run it.")
    assert (manifest.files, manifest.inputs) == ({}, {"mix": "abc"})
    with pytest.raises(ArtifactError, match=naming(tmp_path / "nowhere", "Run it.")):
        check_folder(tmp_path / "nowhere", STATE.kind, "Run it.")


def test_a_backbone_s_pickle_is_not_read_and_its_code_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = build_backbone(tiny_backbone_params(), Path(), CORPUS)
    for name in ("pickle", "code"):
        save_checkpoint(tmp_path / name, model, Provenance(), tokenizer=tokenizer)
    (tmp_path / "pickle" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pickle" / "pytorch_model.bin")
    config = tmp_path / "code" / "config.json"
    values = {**json.loads(config.read_text()), "model_type": "own", "architectures": ["Own"]}
    values["auto_map"] = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Own"}
    config.write_text(json.dumps(values))
    (tmp_path / "code" / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.setattr("builtins.input", lambda *asked: "y")
    for name in ("pickle", "code"):
        params = BackboneParams(kind="folder", path=str(tmp_path / name))
        with pytest.raises(ConfigError, match=naming("backbone.path", tmp_path / name)):
            build_backbone(params, Path(), [])
    assert not (tmp_path / "ran").exists()


def test_a_model_that_reads_ahead_is_refused(tmp_path: Path) -> None:
    """BERT has a language head that transformers loads as a causal one; it would train to zero."""
    from transformers import BertConfig, BertLMHeadModel

    _, tokenizer = build_nano(tiny_backbone_params().nano, CORPUS)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    params = BackboneParams(kind="folder", path=str(tmp_path))
    for is_decoder in (False, True):
        config.is_decoder = is_decoder
        BertLMHeadModel(config).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        if is_decoder:
            build_backbone(params, Path(), [])
        else:
            with pytest.raises(ConfigError, match=naming(tmp_path, "BertLMHeadModel")):
                build_backbone(params, Path(), [])


def test_a_model_without_its_head_is_refused_not_made_up(tmp_path: Path) -> None:
    model, tokenizer = build_nano(tiny_backbone_params().nano, CORPUS)
    model.config.tie_word_embeddings = False
    model.model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=naming(tmp_path, 1, "lm_head.weight")):
        build_backbone(BackboneParams(kind="folder", path=str(tmp_path)), Path(), [])


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    model, _ = build_nano(tiny_backbone_params().nano, CORPUS)
    larger = [f"{text} {row}" for row, text in enumerate(CORPUS * 5)] * COMMON_FROM
    nano = tiny_backbone_params().nano.model_copy(update={"vocab_size": 400})
    _, tokenizer = build_nano(nano, larger)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    num_rows = model.get_input_embeddings().weight.shape[0]
    assert len(tokenizer) > num_rows
    with pytest.raises(ConfigError, match=naming(tmp_path, len(tokenizer) - 1, num_rows)):
        build_backbone(BackboneParams(kind="folder", path=str(tmp_path)), Path(), [])


def test_a_model_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    model, _ = build_nano(tiny_backbone_params().nano, CORPUS)
    model.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=naming("backbone.path", tmp_path)):
        build_backbone(BackboneParams(kind="folder", path=str(tmp_path)), Path(), [])


def test_a_folder_of_the_tokenizer_goes_into_every_checkpoint(tmp_path: Path) -> None:
    model, tokenizer = build_backbone(tiny_backbone_params(), Path(), CORPUS)
    save_checkpoint(tmp_path / "1", model, Provenance(), tokenizer=tokenizer)
    templates = tmp_path / "1" / "additional_chat_templates"
    templates.mkdir()
    (templates / "rag.jinja").write_text("{{ messages }}")
    save_checkpoint(tmp_path / "2", model, Provenance(), tokenizer_from=tmp_path / "1")
    copy = tmp_path / "2" / "additional_chat_templates"
    assert (copy / "rag.jinja").read_text() == "{{ messages }}"
    assert copy.stat().st_mode & 0o111, "a folder that others can open"
    check_folder(tmp_path / "2", STUDENT.kind, "")


def test_an_instruct_model_that_can_think_is_saved_to_answer_at_once(tmp_path: Path) -> None:
    """As Qwen 3: without the flag its prompt lets the model think."""
    tokenizer = chatml()
    last = "('<think></think>' if message['role'] == 'assistant' and loop.last else '')"
    rows = str(tokenizer.chat_template).replace(
        "message['content']", f"{last} + message['content']"
    )
    flag = "add_generation_prompt and enable_thinking is defined and not enable_thinking"
    thinks = f"{rows}{{%- if {flag} -%}}<think></think>{{%- endif -%}}"
    tokenizer.chat_template = {"default": thinks, "rag": "{{ messages }}"}
    tiny_llama(vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    asked = [{"role": "user", "content": "lamp off"}]
    made = BackboneParams(kind="folder", path=str(tmp_path))
    _, saved = build_backbone(made, Path(), [], text_format="chat")
    before, after = (
        one.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        for one in (tokenizer, saved)
    )
    assert after == before + "<think></think>"
    assert saved.chat_template["rag"] == "{{ messages }}"
