"""`lamol check` on a sequence that has run: parameters, folders, tokens, an estimate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import LlamaConfig

from tests.messages import names
from tests.stages.sequences import edit_params, run, write_csv

pytestmark = pytest.mark.slow


def test_wrong_parameters_are_told_all_at_once(sequence: Path) -> None:
    def spoil(params: dict) -> None:
        params["lamol_kd"]["temprature"] = 3
        params["tasks"]["sums"]["after"] = "animalz"

    edit_params(sequence, spoil)
    output = run(sequence, "lamol", "check", expect=3)
    assert names(output, "lamol_kd.temprature", "temperature")
    assert names(output, "tasks.sums.after", "animalz", "animals")
    told = run(sequence, "lamol", "train", "sums", expect=3)
    assert names(told, "tasks.sums.after", "animalz")
    edit_params(sequence, lambda p: p["tasks"]["sums"].update(after="animals"))
    told = run(sequence, "lamol", "train", "sums", expect=3)
    assert names(told, "lamol_kd.temprature", "temperature")


def test_a_missing_block_is_told_before_dvc_stops_at_it(sequence: Path) -> None:
    def leave_out(params: dict) -> None:
        for name in ("mix", "lamol_kd", "seed"):
            del params[name]

    edit_params(sequence, leave_out)
    output = run(sequence, "lamol", "check", expect=3)
    assert output.count("\n  - ") == 3 and names(output, "mix", "lamol_kd", "seed")
    assert run(sequence, "lamol", "mix", "sums"), "by hand a stage takes the defaults"


def test_check_tells_what_only_a_tokenizer_and_the_folders_know(
    sequence: Path, tmp_path: Path
) -> None:
    table = write_csv(tmp_path / "fruits.csv", "fruits")
    table.write_text(table.read_text().replace("sweet", "sweet as sugar and red as the sun"))
    fruits = {"after": "sums", "source": {"kind": "csv", "path": str(table)}}
    told = run(sequence, "lamol", "check", "--set", "text.max_length=8",
               "--set", f"tasks.fruits={json.dumps(fruits)}", expect=3)  # fmt: skip
    assert names(told, "tasks.fruits", 1, 2, "text.max_length", 8)
    (sequence / "runs" / "old" / "student").mkdir(parents=True)
    told = run(sequence, "lamol", "check", "--json")
    (hint,) = json.loads(told.splitlines()[0])["hints"]
    assert names(hint, "old", "runs/old") and hint in told.replace("check: ", "")


@pytest.mark.long
def test_an_estimate_counts_what_training_then_takes(finished: Path) -> None:
    """Before anything else runs, and keeps nothing: exact where no row is drawn."""
    output = run(finished, "lamol", "check", "--estimate", "--json")
    told = json.loads(output.splitlines()[-1])["estimate"]
    first, second, third = told["tasks"]
    figures = finished / "reports" / "figures"
    logged = json.loads((figures / "colours.train.json").read_text())
    assert (first["steps"], first["trained_tokens"]) == (
        logged["steps"],
        pytest.approx(logged["tokens"]),
    )
    logged = json.loads((figures / "sums.train.json").read_text())
    assert third["steps"] == logged["steps"]
    assert third["trained_tokens"] == pytest.approx(logged["tokens"], rel=0.15)
    assert told["seconds"] > second["train_s"] > 0
    assert "up to date" in run(finished, "dvc", "status")


def test_a_model_that_is_not_fetched_yet_is_estimated_by_its_config(
    sequence: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    config = LlamaConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, vocab_size=300)
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(model)
    named = ["--set", "backbone.kind=folder", "--set", f"backbone.path={model}"]
    told = run(sequence, "lamol", "check", *named, expect=3)
    assert names(told, "model.safetensors", "tokenizer.json")
    told = run(sequence, "lamol", "check", "--estimate", *named)
    assert names(told, "parameters", "moments of AdamW", "model.safetensors", "tokenizer.json")
    told = run(sequence, "lamol", "check", "--estimate", "--json", *named)
    (figures,) = (json.loads(line) for line in told.splitlines() if line.startswith("{"))
    assert len(figures["missing"]) == 2 and figures["problems"] == []
    assert figures["estimate"]["parameters"] > 300 * 32
