"""Targets that are too long are told before an hour is spent on the tasks before theirs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance
from lamol_core.models.backbones import build_backbone
from lamol_core.models.checkpoints import save_checkpoint
from lamol_core.parameters import Params
from lamol_core.preflight.backbone import prepared_backbone
from lamol_core.preflight.overview import describe_sequence
from lamol_core.preflight.targets import find_codec, target_problems
from lamol_core.text.tokenizer import TextCodec
from tests.fakes import CORPUS, tiny_backbone_params
from tests.messages import names

KNOWN = ["to", "be", "or", "not", "yes", "no", "x", "y", "unknown"]


def sequence(root: Path, label: str = "yes", of_b: str = "y", **blocks: Any) -> Params:
    """Task a is asked for `label` or "no"; b, which follows, for `of_b` or "x"."""
    for name, targets in (("a", (label, "no")), ("b", (of_b, "x"))):
        lines = [f"row {i},{targets[i % 2]}" for i in range(60)]
        (root / f"{name}.csv").write_text("\n".join(["input,target", *lines]))
    tasks = {
        "a": {"after": "base", "source": {"kind": "csv", "path": "a.csv"}},
        "b": {"after": "a", "source": {"kind": "csv", "path": "b.csv"}},
    }
    return Params.model_validate({"tasks": tasks, **blocks})


class Words:
    """A token for each word, which is kept without its case."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(map(KNOWN.index, text.lower().split())) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(KNOWN[index].replace("unknown", "") for index in ids)


def told(root: Path, params: Params) -> tuple[list[str], list[str]]:
    return target_problems(params, describe_sequence(params, root), Words())


def test_a_target_that_just_fits_and_one_that_does_not(tmp_path: Path) -> None:
    params = sequence(tmp_path, "to be or not to be", text={"max_length": 10})
    assert told(tmp_path, params) == ([], [])
    params = sequence(tmp_path, "to be or not to be", text={"max_length": 9})
    (problem,), _ = told(tmp_path, params)
    assert problem.startswith("tasks.a: ") and names(problem, 1, 2, "text.max_length", 9)
    assert names(problem, "a/train/000000", 6, 10)


@pytest.mark.parametrize(
    ("method", "keys"),
    [
        ("lamol_kd", ["evaluate.max_target_tokens", "text.max_target_tokens"]),
        ("ewc", ["evaluate.max_target_tokens"]),
    ],
)
def test_labels_that_no_answer_can_be(tmp_path: Path, method: str, keys: list[str]) -> None:
    limits = {"evaluate": {"max_target_tokens": 5}, "text": {"max_target_tokens": 5}}
    params = sequence(tmp_path, "to be or not to be", method=method, **limits)
    problems, hints = told(tmp_path, params)
    assert problems == [] and len(hints) == len(keys)
    for hint, key in zip(hints, keys, strict=True):
        assert hint.startswith("a: ") and names(hint, 1, 2, key, 5, 6)
    assert told(tmp_path, sequence(tmp_path, "to be or not to", method=method, **limits)) == (
        [],
        [],
    )


def test_a_label_of_which_the_tokenizer_keeps_nothing_is_told(tmp_path: Path) -> None:
    for label, told_of in (("YES", 0), ("unknown", 1)):
        problems, hints = told(tmp_path, sequence(tmp_path, label))
        assert problems == [] and len(hints) == told_of
        assert all(hint.startswith("a: ") and names(hint, 1, 2, "'unknown'") for hint in hints)


def test_the_prepared_backbone_counts_or_the_folder_it_is_made_of(tmp_path: Path) -> None:
    model, tokenizer = build_backbone(tiny_backbone_params(), Path(), CORPUS)
    folder = {"kind": "folder", "path": "model"}
    params = sequence(tmp_path, backbone=folder)
    assert find_codec(params, tmp_path) is None, "`lamol backbone` says what is wrong"
    save_checkpoint(tmp_path / "model", model, Provenance(), tokenizer=tokenizer)
    found = find_codec(params, tmp_path)
    assert found is not None
    plain = tokenizer("turn the light on", add_special_tokens=False)["input_ids"]
    assert found.encode(["turn the light on", ""]) == [plain, []]
    spelt = TextCodec(tokenizer).encode(["<|lamol:ans|> \ud800"])
    assert found.encode(["<|lamol:ans|> \ud800"]) == spelt and len(spelt[0]) > 3
    (tmp_path / "model" / "tokenizer.json").write_text("{")
    assert find_codec(params, tmp_path) is None

    nano = sequence(tmp_path)
    assert find_codec(nano, tmp_path) is None, "its tokenizer is not trained yet"
    student = Layout(tmp_path).student("base")
    made_of = Provenance(nano.backbone.model_dump(mode="json"))
    save_checkpoint(student, model, made_of, tokenizer=tokenizer)
    assert find_codec(nano, tmp_path) is not None
    assert prepared_backbone(nano.backbone, tmp_path) == student
    other = sequence(tmp_path, backbone={"max_tasks": 7})
    assert find_codec(other, tmp_path) is None, "it will be made anew"
