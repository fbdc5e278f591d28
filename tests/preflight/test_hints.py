"""Settings without effect, and folders that no task uses."""

from pathlib import Path
from typing import Any

import pytest

from lamol_core.parameters import Params
from lamol_core.preflight.hints import find_leftovers, target_length_hints
from lamol_core.preflight.overview import describe_sequence
from lamol_core.preflight.targets import count_around, find_template
from lamol_core.text.chat import ChatTemplate
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.params import TextParams
from lamol_core.text.template import NUM_CONTROL, TaskPrompts
from tests.messages import names
from tests.preflight.sequences import chain, demo
from tests.text.chat_families import chatml


def test_what_tasks_that_are_no_more_left_is_told(tmp_path: Path) -> None:
    params = Params.model_validate({"tasks": chain(2)})
    for name in ("data/base", "data/t0", "data/old", "data/.out.1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "lineage.json").touch()
    for name in ("runs/t1/student", "runs/old/student", "runs/x/state"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("t1.expert/0e", "y/0f", "y.expert/0a"):  # of trainings that were cut off
        (tmp_path / ".lamol" / "resume" / name).mkdir(parents=True)
    for name in ("data/raw", "runs/mine"):  # a user's own
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "train.csv").touch()
    old, other, resumed = find_leftovers(params, tmp_path)
    assert names(old, "params.yaml", "old", tmp_path / "data" / "old", tmp_path / "runs" / "old")
    assert names(other, "x", tmp_path / "runs" / "x") and str(tmp_path / "data") not in other
    resume = tmp_path / ".lamol" / "resume"
    assert names(resumed, "y", resume / "y", resume / "y.expert")
    assert find_leftovers(params, tmp_path / "new") == []


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, 36),
        ({"generate": {"format": "reject"}}, 99),
        ({"text": {"max_target_tokens": 8}}, None),
        ({"generate": {"gamma": 0}}, None),
        ({"method": "ewc"}, None),
        ({"tasks": {"a": demo("base", "home"), "b": demo("base", "query")}}, None),
    ],
)
def test_targets_that_training_would_have_no_room_for_are_hinted_at(
    changes: dict[str, Any], needed: int | None
) -> None:
    tasks = {"a": demo("base", "home"), "b": demo("a", "query")}
    text = {"max_length": 12, **changes.get("text", {})}
    params = Params.model_validate({"tasks": tasks, **changes, "text": text})
    hints = target_length_hints(params)
    assert len(hints) == (needed is not None)
    assert all(names(hint, "text.max_length", 12, needed) for hint in hints)


def test_rows_of_chat_format_have_their_template_around_them(tmp_path: Path) -> None:
    """Its tokens count, not those of reserved ones: from a folder that holds a tokenizer alone."""
    tasks = {"a": demo("base", "home"), "b": demo("a", "query")}
    folder = {"kind": "folder", "path": "model"}
    data = {"tasks": tasks, "backbone": folder, "text": {"max_length": 50, "format": "chat"}}
    params = Params.model_validate(data)
    facts = [task.facts for task in describe_sequence(params, tmp_path)]

    def around() -> int:
        return count_around(find_template(params, facts, tmp_path), facts)

    (tmp_path / "model").mkdir()
    assert around() == NUM_CONTROL["gen"], "no template is there"
    tokenizer = chatml()
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("{}")
    num_around = around()
    template = ChatTemplate(tokenizer, find_pieces(tokenizer), TaskPrompts(["a", "b"]))
    assert num_around == max(template.num_around(task, ()) for task in tasks) > 10
    (hint,) = target_length_hints(params, num_around)
    assert names(hint, "text.max_length", 50, 32 + num_around + 1)
    assert target_length_hints(params) == [], "with reserved tokens they would fit"
    params = params.model_copy(update={"text": TextParams(max_length=50)})
    assert around() == NUM_CONTROL["gen"]
