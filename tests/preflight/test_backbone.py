"""Models that can't be trained, as far as their files show."""

import json
from pathlib import Path
from typing import Any

import pytest

from lamol_core.preflight.problems import check_sequence
from tests.messages import names
from tests.preflight.sequences import chain, demo


def write_model(folder: Path, config: Any) -> None:
    """The files of a model, by their names alone."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).touch()


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
        (tmp_path / "m.gguf").write_bytes(b"GGUF and more")
        assert self.check(tmp_path, kind="gguf", path="m.gguf") == []
        (tmp_path / "m.gguf").write_bytes(b"PK")
        (problem,) = self.check(tmp_path, kind="gguf", path="m.gguf")
        assert names(problem, "backbone.path", tmp_path / "m.gguf")
        (problem,) = self.check(tmp_path, kind="gguf", path=".")
        assert problem.startswith(f"backbone.path: {tmp_path} ")

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
        assert problem.startswith(f"backbone.path: {tmp_path / 'model'} ")
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

    def test_a_model_of_the_hub_must_be_at_hand_or_the_hub_reachable(self, tmp_path: Path) -> None:
        (problem,) = self.check(tmp_path, kind="hub", path="owner/model")
        assert problem.startswith("backbone.path: ") and names(problem, "owner/model", "folder")
        write_model(tmp_path / "owner", {})
        assert self.check(tmp_path, kind="hub", path="owner") == []

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
