"""The table of a sequence's tasks, and notes on their rows."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from lamol_core.errors import ConfigError
from lamol_core.parameters import Params
from lamol_core.preflight.overview import describe_sequence
from tests.messages import names
from tests.preflight.sequences import demo


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
