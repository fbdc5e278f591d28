"""Models of others, broken in every way: one sentence that names the file, and in time."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, ByT5Tokenizer

from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.models import foreign as limits
from lamol_core.models.backbones import load_pretrained, read_chat_template
from lamol_core.models.files import folder_problems
from lamol_core.models.foreign import foreign, try_out
from lamol_core.models.params import BackboneParams
from lamol_core.preflight.backbone import backbone_problems
from tests.messages import names, naming
from tests.models.foreign_models import (
    ENDLESS,
    EXPLODES,
    FILES,
    WRONG,
    build,
    edit,
    into_the_hubs_cache,
    places,
    put,
    refused,
    seconds_of_children,
    split_weights,
    write_foreign,
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign") / "model"
    write_foreign(folder)
    return folder


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs hangs for good: a test need not wait as long as a user."""
    monkeypatch.setattr(limits, "CPU_S", 2)


class TestFolder:
    def test_a_whole_one_is_built(self, model: Path) -> None:
        assert folder_problems(model) == []
        build(model)
        split_weights(model)
        build(model)

    @pytest.mark.parametrize(
        "file", ["pytorch_model.bin", "/etc/x.safetensors", "../x.safetensors", "b/x.safetensors"]
    )
    def test_weights_are_listed_safetensors_of_the_folder(self, model: Path, file: str) -> None:
        shutil.copy(model / "model.safetensors", model.parent / "x.safetensors")
        torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
        (model / "b").symlink_to(model.parent, target_is_directory=True)
        split_weights(model, file)
        refused(model, "model.safetensors.index.json", Path(file).name)

    def test_a_listed_file_is_there(self, model: Path) -> None:
        split_weights(model, "gone.safetensors")
        refused(model, model / "gone.safetensors", "model.safetensors.index.json")

    def test_files_can_be_links_as_in_the_hubs_cache(self, model: Path, tmp_path: Path) -> None:
        blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "1"
        model.rename(blobs)
        snapshot.mkdir(parents=True)
        for file in blobs.iterdir():
            (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
        build(snapshot)
        (blobs / "tokenizer.json").unlink()
        refused(snapshot, snapshot / "tokenizer.json")

    def test_a_model_in_the_cache_of_the_hub(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        snapshot = into_the_hubs_cache(model, tmp_path / "cache", monkeypatch)
        build(Path("owner/tiny"), "hub")
        split_weights(snapshot, "weights.bin")
        with pytest.raises(ConfigError, match=naming("model.safetensors.index.json")):
            build(Path("owner/tiny"), "hub")
        with pytest.raises(ConfigError, match=naming("owner/other")):
            build(Path("owner/other"), "hub")

    @pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
    def test_a_fifo_is_not_waited_for(self, model: Path, name: str) -> None:
        (model / name).unlink()
        os.mkfifo(model / name)
        refused(model, model / name)

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize(
        "text", ["", "[]", "[" * 100_000, '{"a": 1', "\ud800".encode("utf-8", "surrogatepass")]
    )
    def test_json_files_hold_objects(self, model: Path, name: str, text: str | bytes) -> None:
        (model / name).write_bytes(text.encode() if isinstance(text, str) else text)
        refused(model, model / name)

    @pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "fp8"])
    def test_quantised_weights_are_not_trained(self, model: Path, method: str) -> None:
        edit(
            model / "config.json",
            lambda c: put(c, ("quantization_config",), {"quant_method": method}),
        )
        refused(model, "config.json", "quantization_config", method)

    def test_weights_by_another_name_and_adapters_are_not_followed(self, model: Path) -> None:
        (model / "adapter_config.json").write_text('{"base_model_name_or_path": "/x"}')
        refused(model, model)
        (model / "adapter_config.json").unlink()
        edit(model / "config.json", lambda c: put(c, ("transformers_weights",), "a.safetensors"))
        refused(model, "config.json", "transformers_weights")

    @pytest.mark.parametrize("cut", [0, 4, 100, -1])
    def test_cut_weights_are_told_by_their_header(self, model: Path, cut: int) -> None:
        weights = model / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:cut])
        refused(model, weights)

    @pytest.mark.parametrize(
        "tensor",
        [{}, [], {"dtype": "F32", "shape": [2], "data_offsets": [0, 10**9]},
         {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]},
         {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]},
         {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}],
    )  # fmt: skip
    def test_a_header_fits_its_file(self, model: Path, tensor: object) -> None:
        header = json.dumps({"a": tensor}).encode()
        weights = model / "model.safetensors"
        weights.write_bytes(struct.pack("<Q", len(header)) + header + b"1234")
        refused(model, weights)

    def test_a_tensor_of_another_shape_is_named(self, model: Path) -> None:
        edit(model / "config.json", lambda config: config.update(intermediate_size=48))
        refused(model, model, "model.layers.0.mlp.down_proj.weight", 64, 48, by_check=False)

    @pytest.mark.parametrize(
        ("key", "value"),
        [("vocab_size", "x"), ("model_type", "gone"), ("hidden_act", 7), ("vocab_size", 10**12)],
    )
    def test_a_wrong_value_is_told_with_its_file(
        self, model: Path, key: str, value: object
    ) -> None:
        edit(model / "config.json", lambda config: put(config, (key,), value))
        refused(model, model / "config.json", by_check=False)

    def test_what_can_t_be_written_again_is_told_with_its_file(self, model: Path) -> None:
        edit(model / "generation_config.json", lambda one: one.update(output_attentions=True))
        refused(model, model / "generation_config.json", by_check=False)

    def test_a_tokenizer_of_python_alone_is_told(self, model: Path) -> None:
        """Checkpoints and the audit need its file."""
        (model / "tokenizer.json").unlink()
        ByT5Tokenizer().save_pretrained(model)
        refused(model, model, "ByT5Tokenizer", "tokenizer.json")

    def test_a_tokenizer_that_can_be_converted_is_none_of_them(self, model: Path) -> None:
        bpe = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]
        (model / "vocab.json").write_text(json.dumps(bpe["vocab"]))
        (model / "merges.txt").write_text("\n".join(map(" ".join, bpe["merges"])))
        (model / "tokenizer.json").unlink()
        edit(model / "tokenizer_config.json", lambda c: c.update(tokenizer_class="GPT2Tokenizer"))
        assert backbone_problems(BackboneParams(kind="folder", path=str(model)), Path()) == []
        build(model)

    @pytest.mark.slow
    def test_layers_without_end_are_not_made(self, model: Path, quick: None) -> None:
        edit(model / "config.json", lambda config: config.update(num_hidden_layers=10**9))
        refused(model, model / "config.json", by_check=False)

    @pytest.mark.slow
    def test_a_tokenizer_without_end_is_stopped(self, model: Path, quick: None) -> None:
        edit(model / "tokenizer.json", lambda content: content.update(pre_tokenizer=EXPLODES))
        refused(model, model / "tokenizer.json", by_check=False)


@pytest.mark.slow
@pytest.mark.parametrize("use", [partial(load_pretrained, text_format="chat"), read_chat_template])
def test_a_slow_tokenizer_leaves_its_template_less_time(
    model: Path, use: Callable[..., object], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model / "chat_template.jinja").write_text(ENDLESS)
    load = AutoTokenizer.from_pretrained

    def load_slowly(*given: Any, **options: Any) -> Any:
        while time.process_time() < 1.1:  # of the child
            pass
        return load(*given, **options)

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", load_slowly)
    before = seconds_of_children()
    with pytest.raises(ConfigError, match=naming(model, "chat template", "2 s")):
        use(BackboneParams(kind="folder", path=str(model)), Path())
    assert seconds_of_children() - before < 2.5


def spin(tokenizer: object) -> None:
    while True:
        pass


class TestInAChild:
    @pytest.mark.parametrize(
        "end", [spin, lambda _: os.abort(), lambda _: os._exit(0), lambda _: bytearray(10**11),
                lambda _: [0] * 10**11, lambda _: ending(SystemExit)],
    )  # fmt: skip
    def test_whatever_a_step_does_is_a_sentence(
        self, end: Callable[[object], object], quick: None, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def steps() -> Iterator[str]:
            yield "first"
            yield "second"
            os.write(1, b"shown")
            os.write(2, b"shown")
            end(None)

        with pytest.raises(ConfigError, match=naming("second")):
            try_out(steps())
        assert capfd.readouterr() == ("", "")

    def test_steps_that_go_well_say_nothing(self) -> None:
        try_out(iter(["first", "second"]))
        with suppress(ChildProcessError):  # where this process has no child of other tests
            assert os.waitpid(-1, os.WNOHANG) == (0, 0), "its child was not waited for"

    def test_without_forks_the_steps_are_taken_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        taken = []

        def steps() -> Iterator[str]:
            yield "first"
            taken.append(1)
            raise KeyError("gone")

        monkeypatch.delattr(os, "fork")
        with pytest.raises(ConfigError, match=naming("first", "KeyError", "gone")):
            try_out(steps())
        assert taken == [1]


class Panic(BaseException):
    """As pyo3 raises it."""


def ending(error: type[BaseException]) -> None:
    raise error


class TestForeign:
    @pytest.mark.parametrize("error", [Panic, RecursionError, MemoryError, KeyError, OSError])
    def test_all_that_is_raised_is_ours(self, error: type[BaseException]) -> None:
        for kind in (ConfigError, ArtifactError):
            with (
                pytest.raises(kind, match=naming("x.json", "Run it.")),
                foreign("x.json", kind, "Run it."),
            ):
                raise error("a\nb")

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ArtifactError])
    def test_what_ends_a_command_passes(self, error: type[BaseException]) -> None:
        with pytest.raises(error), foreign("x.json"):
            raise error


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_wrong_values_end_in_a_sentence_or_a_model(model: Path, name: str, quick: None) -> None:
    """A sample: all of them were tried by hand."""
    content = json.loads((model / name).read_text(encoding="utf-8"))
    rng = random.Random(name)
    for _ in range(6):
        place, value = rng.choice(places(content)), rng.choice(WRONG)
        edit(model / name, lambda one: put(one, place, value))  # noqa: B023
        try:
            build(model)
        except ConfigError as error:
            assert names(error, "backbone.path") and str(model) in str(error), (place, value)
        (model / name).write_text(json.dumps(content))
