"""From cells to pairs of texts: templates and limits."""

import re
from pathlib import Path

import pytest

from lamol_core.data.sources.registry import read_source
from lamol_core.errors import ConfigError
from tests.data.sources.tables import make, problems, rows_of, write
from tests.messages import names, naming


class TestTemplates:
    def read(self, tmp_path: Path, text: str) -> str:
        row = {"context": "C {x}", "question": "Q", "label": 3, "a.b": "dot"}
        write(tmp_path / "x.jsonl", [row])
        source = make(kind="jsonl", path="x.jsonl", input=text, target="label")
        (row,) = read_source(source, tmp_path)["train"]
        assert row.target == "3"
        return row.input

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("question", "Q"),
            ("{context} {question}", "C {x} Q"),
            ("{{{question}}}", "{Q}"),
            ("n{label}", "n3"),
            ("a.b", "dot"),
            ("{a.b}", "dot"),
        ],
    )
    def test_fields_are_filled_in(self, tmp_path: Path, text: str, wanted: str) -> None:
        assert self.read(tmp_path, text) == wanted

    @pytest.mark.parametrize(
        "text",
        ["{question!r}", "{question:>9}", "{question:{label}}", "{", "}", "{}", "{{question}}"],
    )
    def test_anything_else_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ConfigError, match=f"^input: .*{re.escape(text)}"):
            self.read(tmp_path, text)

    @pytest.mark.parametrize("text", ["{question.__class__}", "{question[0]}"])
    def test_nothing_is_evaluated(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ConfigError, match=naming(tmp_path / "x.jsonl", text[1:-1])):
            self.read(tmp_path, text)


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", " \u200e ", "\u3164", "\x07", "\ufe0f"])
def test_a_cell_in_which_nothing_can_be_seen_is_empty(tmp_path: Path, unseen: str) -> None:
    path = write(tmp_path / "x.jsonl", rows_of(("1", unseen), (unseen, "b"), (f"2{unseen}", "c")))
    of_target, of_input = problems(make(kind="jsonl", path="x.jsonl"), tmp_path)
    assert names(of_target, path, "target", 1) and names(of_input, path, "input", 2)


def test_a_test_split_without_the_targets_that_stay(tmp_path: Path) -> None:
    write(tmp_path / "d/train.csv", rows_of(("1", "a"), ("2", "b")))
    write(tmp_path / "d/test.csv", rows_of(("3", "b")))
    (problem,) = problems(make(kind="csv", path="d", max_targets=1), tmp_path)
    assert names(problem, "test", 1, "max_targets")
