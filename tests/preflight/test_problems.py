"""`lamol check`: every problem at once, none invented."""

import json
from pathlib import Path
from typing import Any

import pytest

from lamol_core.config.loading import read_params
from lamol_core.errors import ConfigError, UsageError
from lamol_core.preflight.problems import check_sequence
from tests.messages import names, naming
from tests.preflight.sequences import chain, demo, forget


def test_a_sound_sequence_has_no_problems() -> None:
    data = {"tasks": {"a": demo("base"), "b": demo("a", "query"), "c": demo("a", "slots")}}
    assert check_sequence(data, Path()) == []


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("input,target\na,b\n")
    data = {
        "sede": 1,
        "backbone": {"kind": "folder", "path": "gone"},
        "tasks": {
            "a": demo("base", "hme"),
            "b": {"after": "x", "source": {"kind": "csv", "path": "gone.csv", "input": "{"}},
            "c": {"after": "a", "source": {"kind": "csv", "path": "few.csv"}},
            "d": {"after": "a", "source": {"kind": "xml", "path": "few.xml"}},
            "e": {"after": "e"},
            "f": demo("base", max_target=3),
        },
    }
    problems = check_sequence(data, tmp_path)
    for key, part in (
        ("sede", "seed"),
        ("backbone.path", tmp_path / "gone"),
        ("tasks.a.source", "hme"),
        ("tasks.b.after", "x"),
        ("tasks.b.source", "input"),
        ("tasks.c.source", 1),
        ("tasks.d.source", "xml"),
        ("tasks", "e -> e"),
        ("tasks.f.source.max_target", "max_targets"),
    ):
        found = [p for p in problems if p.startswith(f"{key}: ") and names(p, part)]
        assert found, (key, problems)
    assert not [p for p in problems if p.startswith("tasks.f.source: ")]
    assert len(problems) == len(set(problems))


def test_every_problem_of_a_source_has_its_key(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\na,b\n")
    data = {"tasks": {"a": {"after": "base", "source": {"kind": "csv", "path": "x.csv"}}}}
    first, second = check_sequence(data, tmp_path)
    assert first.startswith("tasks.a.source: ") and names(first, "input")
    assert second.startswith("tasks.a.source: ") and names(second, "target")


EMPTY = [{name: None} for name in ("text", "backbone", "generate", "evaluate", "prepare")]


@pytest.mark.parametrize(
    "data", [{}, {"tasks": []}, {"tasks": {"a": None}}, {"tasks": None}, {"text": []}, *EMPTY]
)
def test_hopeless_files_have_problems_not_tracebacks(data: dict[str, Any]) -> None:
    assert check_sequence(data, Path())


@pytest.mark.parametrize("block", [None, "x", {"after": "base", "source": 3}])
def test_a_forgotten_task_whose_block_is_broken(block: object, tmp_path: Path) -> None:
    forget("a", tmp_path, demo("base"))
    assert check_sequence({"tasks": {"a": demo("base")}}, tmp_path) == []
    assert check_sequence({"tasks": {"a": block}}, tmp_path)


def test_depth_is_counted_along_the_order() -> None:
    tasks = chain(3) | {"side": demo("t0"), "other": demo("base")}
    assert check_sequence({"tasks": tasks, "backbone": {"max_tasks": 3}}, Path()) == []
    (problem,) = check_sequence({"tasks": tasks, "backbone": {"max_tasks": 2}}, Path())
    assert problem.startswith("backbone.max_tasks: ") and names(problem, 2, "t2", 3)


@pytest.mark.parametrize(
    "block", [{"method": "ewc"}, {"text": {"use_task_specific_gen_token": False}}]
)
def test_depth_does_not_matter_without_a_token_per_task(block: dict[str, Any]) -> None:
    assert check_sequence({"tasks": chain(3), "backbone": {"max_tasks": 2}, **block}, Path()) == []


def test_names_that_are_listed_twice(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seed: 1\ntasks:\n  a: {after: base}\n  b: {after: a}\n  a: {after: b}\n")
    with pytest.raises(ConfigError, match=naming(path, "a", 3, 5)):
        read_params(path)
    path.write_text("train: {epochs: 1, epochs: 2}\nseed: 1\nseed: 2\n")
    with pytest.raises(ConfigError, match=naming(path, "train.epochs", "seed", 2, 3)):
        read_params(path)


def test_a_date_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("tasks: {}\nbackbone: {revision: 2024-13-01}\n")
    with pytest.raises(ConfigError, match=naming(path, "YAML")):
        read_params(path)
    path.write_text("tasks: {}\n")
    with pytest.raises(UsageError, match=naming("--set", "YAML")):
        read_params(path, ["backbone.revision=2024-13-01"])


def test_an_alias_of_what_was_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("tasks: {}\nbackbone: {nano: {corpus: [*id001]}}\n")
    with pytest.raises(ConfigError, match=naming(path, "id001", 2)):
        read_params(path)


@pytest.mark.parametrize("place", ["data/a", "data/b/raw", "data/base", "runs/a", "reports"])
def test_a_source_where_a_stage_writes_is_refused(place: str, tmp_path: Path) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True)
    rows = "".join(f"say {i},{'x' if i % 2 else 'y'}\n" for i in range(40))
    (folder / "train.csv").write_text("input,target\n" + rows)
    source = {"kind": "csv", "path": place}
    data = {"tasks": {"a": {"after": "base", "source": source}, "b": demo("a")}}
    (problem,) = check_sequence(data, tmp_path)
    assert problem.startswith("tasks.a.source: ") and names(problem, folder)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (folder / "train.csv").rename(tmp_path / "data" / "raw" / "train.csv")
    source["path"] = "data/raw"
    assert check_sequence(data, tmp_path) == [], "beside the tasks' folders it is safe"


def test_an_after_that_is_no_name_is_told(tmp_path: Path) -> None:
    for after in (["a"], {"a": 1}, 3):
        data = {"tasks": {"a": demo("base"), "b": {**demo("a"), "after": after}}}
        assert any(
            problem.startswith("tasks.b.after") for problem in check_sequence(data, tmp_path)
        )


def test_several_turns_need_chat_format(tmp_path: Path) -> None:
    texts = ("hello", "hi", "ask", "told")
    roles = ("user", "assistant") * 2
    chat = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    row = json.dumps({"messages": chat}) + "\n"
    (tmp_path / "train.jsonl").write_text(row * 3)
    (tmp_path / "dev.jsonl").write_text(row)
    (tmp_path / "test.jsonl").write_text(row)
    source = {"kind": "jsonl", "path": "."}
    data = {"tasks": {"a": {"after": "base", "source": source}}}
    (problem,) = check_sequence(data, tmp_path)
    assert problem.startswith("tasks.a.source: ") and names(problem, "text.format", "chat")
    with_chat = check_sequence({**data, "text": {"format": "chat"}}, tmp_path)
    assert not [one for one in with_chat if one.startswith("tasks.")]
