"""`lamol check`: every problem at once, none invented."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lamol_core.artifacts.layout import Layout
from lamol_core.config.loading import read_params
from lamol_core.data.params import PrepareParams, TaskParams
from lamol_core.data.prepare import prepare_task, write_base
from lamol_core.data.task_data import TaskData
from lamol_core.data.tombstones import write_record
from lamol_core.errors import ConfigError
from lamol_core.parameters import Params
from lamol_core.preflight.hints import find_hints, find_leftovers
from lamol_core.preflight.overview import describe_sequence
from lamol_core.preflight.problems import check_sequence
from lamol_core.privacy.removal import forget_rows
from lamol_core.records import SPLITS
from tests.messages import names, naming


def demo(after: str, task: str = "home", **rest: Any) -> dict[str, Any]:
    return {"after": after, "source": {"kind": "demo", "task": task, **rest}}


def write_model(folder: Path, config: Any) -> None:
    """The files of a model, by their names alone."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).touch()


def chain(length: int) -> dict[str, Any]:
    return {f"t{i}": demo(f"t{i - 1}" if i else "base") for i in range(length)}


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


@pytest.mark.parametrize("data", [{}, {"tasks": []}, {"tasks": {"a": None}}, {"tasks": None}])
def test_hopeless_files_have_problems_not_tracebacks(data: dict[str, Any]) -> None:
    assert check_sequence(data, Path())


@pytest.mark.parametrize("block", [None, "x", {"after": "base", "source": 3}])
def test_a_forgotten_task_whose_block_is_broken(block: object, tmp_path: Path) -> None:
    forget("a", tmp_path, demo("base"))
    assert check_sequence({"tasks": {"a": demo("base")}}, tmp_path) == []
    assert check_sequence({"tasks": {"a": block}}, tmp_path)


def forget(
    name: str,
    root: Path,
    block: dict[str, Any],
    also_of: dict[str, Any] | None = None,
    splits: Sequence[str] = SPLITS,
) -> None:
    write_base(root / "data" / "base")
    task = TaskParams.model_validate(block)
    base = TaskData.load(root / "data" / "base")
    prepare_task(name, task, PrepareParams(), base, Layout(root))
    own = TaskData.load(root / "data" / name)
    forget_rows(own, name, splits, "2026-01-01", {})
    others = {
        other: TaskParams.model_validate(block).source for other, block in (also_of or {}).items()
    }
    write_record(root / ".lamol" / "forgotten" / name, own, [], task.source, others)


def test_forgotten_rows_do_not_come_back_under_another_name(tmp_path: Path) -> None:
    forget("old", tmp_path, demo("base"))
    (problem,) = check_sequence({"tasks": {"new": demo("base", limit_train=30)}}, tmp_path)
    assert problem.startswith("tasks.new.source: ")
    assert names(problem, "old", "2026-01-01", tmp_path / ".lamol/forgotten/old")
    assert check_sequence({"tasks": {"new": demo("base", "query")}}, tmp_path) == []
    kept = {"old": demo("base"), "other": demo("old", "query")}
    assert check_sequence({"tasks": kept}, tmp_path) == []
    (problem,) = check_sequence({"tasks": {**kept, "old-2": demo("other")}}, tmp_path)
    assert problem.startswith("tasks.old-2.source: ")


def test_a_task_that_had_the_rows_when_another_forgot_them_keeps_them(tmp_path: Path) -> None:
    forget("old", tmp_path, demo("base"), also_of={"old-2": demo("old")})
    tasks = {"old": demo("base"), "old-2": demo("old")}
    assert check_sequence({"tasks": tasks}, tmp_path) == []
    (problem,) = check_sequence({"tasks": {**tasks, "old-3": demo("old")}}, tmp_path)
    assert problem.startswith("tasks.old-3.source: ")
    more = {"old": demo("base"), "old-2": demo("old", limit_train=500)}
    (problem,) = check_sequence({"tasks": more}, tmp_path)
    assert problem.startswith("tasks.old-2.source: "), "it had fewer rows"


def test_a_source_may_be_named_otherwise_after_a_forgetting(tmp_path: Path) -> None:
    rows = "".join(f"say {i},{'x' if i % 2 else 'y'}\n" for i in range(80))
    (tmp_path / "rows.csv").write_text("input,target\n" + rows)
    old, also, kept = (
        {"after": after, "source": {"kind": "csv", "path": path}}
        for after, path in (
            ("base", "rows.csv"),
            ("old", "./rows.csv"),
            ("base", str(tmp_path / "rows.csv")),
        )
    )
    forget("old", tmp_path, old, also_of={"also": {**also, "source": old["source"]}})
    assert check_sequence({"tasks": {"old": old, "also": also}}, tmp_path) == []
    forget("old", tmp_path, old, splits=("train",))
    assert check_sequence({"tasks": {"old": kept}}, tmp_path) == []


def test_held_out_rows_of_a_task_are_its_own_not_another_s(tmp_path: Path) -> None:
    forget("old", tmp_path, demo("base"))
    forget("kept", tmp_path, demo("base", "query"), splits=("train",))
    tasks = {"old": demo("base"), "kept": demo("old", "query")}
    assert check_sequence({"tasks": tasks}, tmp_path) == []
    (problem,) = check_sequence({"tasks": {**tasks, "kept": demo("old")}}, tmp_path)
    assert problem.startswith("tasks.kept.source: ") and names(problem, "old")


def test_a_source_that_was_emptied_can_hold_new_rows(tmp_path: Path) -> None:
    forget("old", tmp_path, demo("base"))
    (tmp_path / ".lamol" / "forgotten" / "old" / "source.json").unlink()
    assert check_sequence({"tasks": {"new": demo("base")}}, tmp_path) == []


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

    def test_a_hub_id_is_not_looked_for(self, tmp_path: Path) -> None:
        assert self.check(tmp_path, kind="hub", path="owner/model") == []

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


def test_names_that_are_listed_twice(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seed: 1\ntasks:\n  a: {after: base}\n  b: {after: a}\n  a: {after: b}\n")
    with pytest.raises(ConfigError, match=naming(path, "a", 3, 5)):
        read_params(path)
    path.write_text("train: {epochs: 1, epochs: 2}\nseed: 1\nseed: 2\n")
    with pytest.raises(ConfigError, match=naming(path, "train.epochs", "seed", 2, 3)):
        read_params(path)


def test_an_alias_of_what_was_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("tasks: {}\nbackbone: {nano: {corpus: [*id001]}}\n")
    with pytest.raises(ConfigError, match=naming(path, "id001", 2)):
        read_params(path)


def test_the_table_of_a_sequence(tmp_path: Path) -> None:
    lines = [f"row {i},{'xy'[i % 2]}" for i in range(40)]
    (tmp_path / "a.csv").write_text("\n".join(["input,target", *lines]))
    source = {"kind": "csv", "path": "a.csv"}
    tasks = {"a": {"after": "base", "source": source}, "b": demo("a", "query")}
    params = Params.model_validate({"tasks": tasks})
    first, second = describe_sequence(params, tmp_path)
    assert first.row() == {
        "task": "a",
        "after": "base",
        "targets": "classes",
        "metric": "accuracy",
        "train": 28,
        "dev": 4,
        "test": 8,
        "distinct_targets": 2,
    }
    assert list(first.row()) == list(second.row())
    assert (second.after, second.facts.metric, second.num_rows["test"]) == ("a", "token_f1", 100)
    cut, *others = first.notes
    assert names(cut, "dev", 4)
    assert len(others) == 2 and all(names(note, "test", 8) for note in others), "cut, and few"


def test_one_target_for_all_is_told(tmp_path: Path) -> None:
    tasks = {"a": {"after": "base", "source": {"kind": "csv", "path": "a.csv"}}}

    def notes(targets: str) -> Sequence[str]:
        lines = [f"row {i},{targets[i % len(targets)]}" for i in range(40)]
        (tmp_path / "a.csv").write_text("\n".join(["input,target", *lines]))
        (only,) = describe_sequence(Params.model_validate({"tasks": tasks}), tmp_path)
        return only.notes

    assert len(set(notes("x")) - set(notes("xy"))) == 1


def test_the_table_of_a_broken_sequence_names_the_task(tmp_path: Path) -> None:
    params = Params.model_validate({"tasks": {"a": demo("base", "hme")}})
    with pytest.raises(ConfigError, match=r"^tasks\.a\.source: "):
        describe_sequence(params, tmp_path)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, True),
        ({"known_labels": True}, False),
        ({"draws_per_row": 2}, False),
        ({"carry_over": True}, False),
    ],
)
def test_labels_that_nothing_balances_are_hinted_at(more: dict[str, Any], told: bool) -> None:
    params = Params.model_validate({"tasks": {}, "generate": {"balance_labels": True, **more}})
    assert bool(find_hints(params)) == told
    assert find_hints(Params.model_validate({"tasks": {}})) == []


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
        ({"generate": {"known_labels": True}}, None),
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
    hints = find_hints(params)
    assert len(hints) == (needed is not None)
    assert all(names(hint, "text.max_length", 12, needed) for hint in hints)
