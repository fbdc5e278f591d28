"""Models that can't be trained, as far as their files show."""

import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from lamol_core.models.positions import POSITIONS, positions_of
from lamol_core.parameters import Params
from lamol_core.preflight.check import check_all
from lamol_core.preflight.problems import check_sequence
from tests.messages import names
from tests.preflight.sequences import chain, demo, write_model
from tests.preflight.test_unloaded import TINY, with_config


def test_pseudo_samples_longer_than_the_model_are_told_at_once(tmp_path: Path) -> None:
    long = {"tasks": chain(2), "text": {"max_input_tokens": 500}}
    (problem,) = check_sequence(long, Path())
    assert names(problem, "text.max_input_tokens", "text.max_target_tokens", 535, 512)
    assert check_sequence({**long, "method": "ewc"}, Path()) == []
    folder = {"kind": "folder", "path": "model"}
    unknown: list[dict[str, Any]] = [{}, {"max_position_embeddings": "x"}, {"text_config": 3}]
    for config, told in (({"max_position_embeddings": 534}, 1), *((other, 0) for other in unknown)):
        write_model(tmp_path / "model", config)
        assert len(check_sequence({**long, "backbone": folder}, tmp_path)) == told, config
    for never_drawn in ({"tasks": chain(1)}, {"generate": {"gamma": 0}}):
        assert check_sequence({**long, **never_drawn}, tmp_path) == []
    with_a_slip = check_sequence({**long, "lamol_kd": {"gama": 1}}, tmp_path)
    assert len(with_a_slip) == 2, "all problems at once"


@pytest.mark.parametrize("key", POSITIONS)
def test_a_model_s_positions_are_known_by_any_of_their_names(tmp_path: Path, key: str) -> None:
    """An answer that does not fit is told for every method: `evaluate` would stop after training;
    a row that may not fit, as a hint."""
    write_model(tmp_path / "model", {key: 64})
    data = {"tasks": chain(1), "backbone": {"kind": "folder", "path": "model"}, "method": "ewc"}
    (problem,) = check_sequence(data, tmp_path)
    assert names(problem, "evaluate.max_target_tokens", 66, 64)
    data["evaluate"] = {"max_target_tokens": 62}
    assert check_sequence(data, tmp_path) == []
    whole = Params.model_validate(data).model_dump(mode="json", by_alias=True)
    (hint,) = check_all(whole, tmp_path).hints
    assert names(hint, "text.max_length", 256, 64)
    whole["text"]["max_length"] = 64
    assert check_all(whole, tmp_path).hints == []


@pytest.mark.slow
def test_positions_are_those_of_the_configuration_classes() -> None:
    """Without transformers, whose import takes seconds, they are read by names alone."""
    found = {}
    for kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        with suppress(StrictDataclassError):  # of a class that has no default
            found[kind] = CONFIG_MAPPING[kind]()
    assert len(found) > 100
    differing = {
        kind
        for kind, config in found.items()
        if positions_of(config.to_dict())
        != getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    }
    # XLNet's -1 is no limit; of music, not text; MPT's ALiBi is built for `max_seq_len` positions
    assert differing <= {"xlnet", "musicgen", "musicgen_melody", "mpt"}


@pytest.mark.parametrize("kind", ["folder", "nano"])
def test_an_adapter_s_layers_are_known_before_a_training(tmp_path: Path, kind: str) -> None:
    data = with_config(tmp_path, TINY)
    data["backbone"]["kind"] = kind
    whole = Params.model_validate(data).model_dump(mode="json", by_alias=True)
    for adapter, told_of in (
        ({"kind": "lora", "targets": ["q_proj", "down_proj"]}, 0),
        ({"kind": "lora", "targets": ["q_proj", "c_attn"]}, 1),
        ({"kind": "lora", "targets": ["lm_head"]}, 1),
        ({"kind": "none", "targets": ["c_attn"]}, 0),
    ):
        given = {**whole, "adapter": {**whole["adapter"], **adapter}}
        problems = check_all(given, tmp_path, config_alone=True).problems
        assert len(problems) == told_of, adapter
        for problem in problems:
            assert problem.startswith("adapter.targets: ") and names(problem, "q_proj", "v_proj")


EMPTY_GGUF = b"GGUF" + struct.pack("<IQQ", 3, 0, 0)


class TestBackbone:
    def check(self, root: Path, **backbone: Any) -> list[str]:
        return check_sequence({"tasks": {"a": demo("base")}, "backbone": backbone}, root)

    @pytest.mark.parametrize("kind", ["hub", "folder", "gguf"])
    def test_a_path_is_needed(self, kind: str, tmp_path: Path) -> None:
        (problem,) = self.check(tmp_path, kind=kind)
        assert problem.startswith("backbone.path: ")

    def test_folders_are_looked_for(self, tmp_path: Path) -> None:
        (problem,) = self.check(tmp_path, kind="folder", path="model")
        assert names(problem, "backbone.path", tmp_path / "model")
        write_model(tmp_path / "model", {})
        assert self.check(tmp_path, kind="folder", path="model") == []
        assert self.check(tmp_path, kind="folder", path=str(tmp_path / "model")) == []

    def test_gguf_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "m.gguf").write_bytes(EMPTY_GGUF)
        assert self.check(tmp_path, kind="gguf", path="m.gguf") == []
        (tmp_path / "m.gguf").write_bytes(b"PK")
        (problem,) = self.check(tmp_path, kind="gguf", path="m.gguf")
        assert names(problem, "backbone.path", tmp_path / "m.gguf")
        (problem,) = self.check(tmp_path, kind="gguf", path=".")
        assert problem.startswith(f"backbone.path: {tmp_path} ")

    def test_the_package_that_reads_gguf_is_needed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "m.gguf").write_bytes(EMPTY_GGUF)
        monkeypatch.setitem(sys.modules, "gguf", None)
        (problem,) = self.check(tmp_path, kind="gguf", path="m.gguf")
        assert names(problem, "backbone.kind", "pip install 'lamol-kd[gguf]'")

    @pytest.mark.parametrize(
        ("config", "missing", "named"),
        [
            (None, "", "config.json"),
            ([], "", "config.json"),
            ({"is_encoder_decoder": True}, "", None),
            ({"architectures": ["BertForMaskedLM"]}, "", None),
            ({"architectures": ["BertForMaskedLM"], "is_decoder": False}, "", None),
            ({"architectures": ["LlamaForCausalLM"]}, "model.safetensors", "model.safetensors"),
            ({"architectures": ["LlamaForCausalLM"]}, "tokenizer.json", "tokenizer.json"),
        ],
    )
    def test_a_model_that_can_t_be_trained_is_told(
        self, tmp_path: Path, config: Any, missing: str, named: str | None
    ) -> None:
        write_model(tmp_path / "model", config)
        if missing:
            (tmp_path / "model" / missing).unlink()
        if config is None:
            (tmp_path / "model" / "config.json").unlink()
        (problem,) = self.check(tmp_path, kind="folder", path="model")
        assert names(problem, "backbone.path", tmp_path / "model")
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            assert names(problem, name) == (name == named)

    def test_a_decoder_by_the_name_of_a_masked_model(self, tmp_path: Path) -> None:
        write_model(tmp_path / "model", {"architectures": ["BertForMaskedLM"], "is_decoder": True})
        assert self.check(tmp_path, kind="folder", path="model") == []

    def test_pickled_weights_are_told_with_the_way_out(self, tmp_path: Path) -> None:
        write_model(tmp_path / "model", {})
        (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "x.bin")
        (problem,) = self.check(tmp_path, kind="folder", path="model")
        assert names(problem, tmp_path / "model", ".bin", "save_pretrained")

    @pytest.mark.parametrize("kind", ["folder", "gguf"])
    def test_a_pointer_of_git_lfs_is_told_as_such(self, tmp_path: Path, kind: str) -> None:
        write_model(tmp_path / "model", {})
        weights = tmp_path / "model" / "model.safetensors"
        weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n")
        path = str(weights if kind == "gguf" else weights.parent)
        (problem,) = self.check(tmp_path, kind=kind, path=path)
        assert names(problem, "backbone.path", weights, "git lfs pull")

    def test_weights_for_other_libraries_may_be_pointers(self, tmp_path: Path) -> None:
        write_model(tmp_path / "model", {})
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"
        (tmp_path / "model" / "pytorch_model.bin").write_text(pointer)
        assert self.check(tmp_path, kind="folder", path="model") == []

    def test_a_model_of_the_hub_must_be_at_hand_or_the_hub_reachable(self, tmp_path: Path) -> None:
        (problem,) = self.check(tmp_path, kind="hub", path="owner/model")
        assert problem.startswith("backbone.path: ") and names(problem, "owner/model", "folder")
        write_model(tmp_path / "owner", {})
        assert self.check(tmp_path, kind="hub", path="owner") == []

    @pytest.mark.parametrize("kind", ["folder", "hub"])
    def test_a_folder_is_looked_at_by_whatever_kind(self, kind: str, tmp_path: Path) -> None:
        write_model(tmp_path / "owner", {"max_position_embeddings": 64})
        backbone = {"kind": kind, "path": "owner"}
        data = {"tasks": chain(1), "backbone": backbone, "text": {"format": "chat"}}
        template, positions = check_sequence(data, tmp_path)
        assert names(template, "text.format", "owner") and names(positions, 66, 64)

    def test_a_source_of_a_task_is_not_told_twice(self, tmp_path: Path) -> None:
        source = {"kind": "csv", "path": "gone.csv"}
        data = {
            "tasks": {"a": {"after": "base", "source": source}},
            "backbone": {"nano": {"corpus": [dict(source)]}},
        }
        (problem,) = check_sequence(data, tmp_path)
        assert problem.startswith("tasks.a.source: ")

    def test_the_corpus_of_nano_is_opened(self, tmp_path: Path) -> None:
        corpus = [{"kind": "demo", "task": "home"}, {"kind": "csv", "path": "gone.csv"}]
        (problem,) = self.check(tmp_path, nano={"corpus": corpus})
        assert problem.startswith("backbone.nano.corpus.1: ")
