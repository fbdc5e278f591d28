"""Targets that are too long are told before an hour is spent on the tasks before theirs."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import ByT5Tokenizer

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance
from lamol_core.models.backbones import build_backbone
from lamol_core.models.checkpoints import save_checkpoint
from lamol_core.parameters import Params
from lamol_core.preflight.backbone import prepared_backbone
from lamol_core.preflight.check import check_all
from lamol_core.preflight.overview import describe_sequence
from lamol_core.preflight.targets import find_codec, target_problems, turn_problems
from lamol_core.records import TaskFacts
from lamol_core.text.chat import ChatTemplate
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.params import TextParams
from lamol_core.text.template import TaskPrompts
from lamol_core.text.tokenizer import TextCodec
from tests.fakes import CORPUS, tiny_backbone_params
from tests.messages import names
from tests.models.foreign_models import into_the_hubs_cache
from tests.preflight.sequences import write_model
from tests.text.chat_families import chatml

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


TASKS = [
    TaskFacts("a", "rouge_l", "text", (), {}, system="Be brief.", num_answers={2: 9}),
    TaskFacts("b", "rouge_l", "text", (), {}, num_answers={1: 3, 2: 9}),
    TaskFacts("c", "rouge_l", "text", (), {}, system="Be brief."),
]


def test_turns_that_a_template_cant_write_are_told() -> None:
    prompts = TaskPrompts(["a", "b", "c"], systems={one.name: one.system for one in TASKS})
    whole = find_pieces(chatml())
    assert turn_problems(None, TASKS) == [], "it is not at hand yet"
    for pieces, told_of in (
        (whole, []), (replace(whole, system_first=False), ["a"]),
        (replace(whole, between=None), ["a", "b"]),
    ):  # fmt: skip
        problems = turn_problems(ChatTemplate(chatml(), pieces, prompts), TASKS)
        assert [one.split(":")[0] for one in problems] == [f"tasks.{name}" for name in told_of]


def test_the_template_of_a_folder_is_asked_before_it_is_prepared(tmp_path: Path) -> None:
    roles = ("user", "assistant") * 2
    chats = ([{"role": role, "content": f"turn {i}"} for role in roles] for i in range(60))
    lines = [json.dumps({"messages": chat}) + "\n" for chat in chats]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    task = {"after": "base", "source": {"kind": "jsonl", "path": "a.jsonl"}}
    folder = {"kind": "folder", "path": "model"}
    blocks = {"tasks": {"a": task}, "backbone": folder}
    data = Params.model_validate(blocks).model_dump(mode="json", by_alias=True) | blocks
    data["text"] = TextParams(format="chat").model_dump()
    role, tokenizer = "message['role']", chatml()
    earlier = f"('model' if {role} == 'assistant' and not loop.last else {role})"
    template = tokenizer.chat_template
    for written, num_told in ((template, 0), (template.replace(f"+ {role}", f"+ {earlier}"), 1)):
        write_model(tmp_path / "model", {})
        tokenizer.chat_template = written
        tokenizer.save_pretrained(tmp_path / "model")
        problems = check_all(data, tmp_path).problems
        assert len(problems) == num_told and all(names(one, "tasks.a") for one in problems)
    python = ByT5Tokenizer()
    python.chat_template = template
    (tmp_path / "model" / "tokenizer.json").unlink()
    python.save_pretrained(tmp_path / "model")
    (problem,) = check_all(data, tmp_path).problems
    assert problem.startswith("backbone.path: ") and names(problem, "tokenizer.json")


@pytest.mark.parametrize("has_one", [True, False])
def test_the_template_of_a_model_of_the_hub_is_asked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_one: bool
) -> None:
    write_model(tmp_path / "model", {})
    chatml().save_pretrained(tmp_path / "model")
    if not has_one:
        (tmp_path / "model" / "chat_template.jinja").unlink()
    (into_the_hubs_cache(tmp_path / "model", tmp_path, monkeypatch) / "model.safetensors").unlink()
    of_hub = {"backbone": {"kind": "hub", "path": "owner/tiny"}, "text": {"format": "chat"}}
    data = sequence(tmp_path, **of_hub).model_dump(mode="json", by_alias=True)
    problems = check_all(data, tmp_path).problems
    assert len(problems) == (not has_one)
    assert all(names(one, "text.format", "owner/tiny") for one in problems)


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
