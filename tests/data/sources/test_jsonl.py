"""JSON lines."""

import json
from pathlib import Path

import pytest

from lamol_core.data.sources.registry import SUFFIXES, Source, read_source
from lamol_core.pipeline.init import find_source
from tests.data.sources.tables import make, pairs_of, problems, rows_of, write
from tests.messages import names


class TestJsonl:
    def write_lines(self, tmp_path: Path, *lines: str, encoding: str = "utf-8") -> Source:
        (tmp_path / "x.jsonl").write_text("\n".join(lines), encoding=encoding)
        return make(kind="jsonl", path="x.jsonl")

    GOOD = '{"input": "a", "target": "b"}'

    def test_broken_lines_are_counted(self, tmp_path: Path) -> None:
        source = self.write_lines(tmp_path, self.GOOD, '{"input": ', self.GOOD, '["a"]')
        (problem,) = problems(source, tmp_path)
        assert names(problem, tmp_path / "x.jsonl", 2, 11, 1)

    def test_a_line_that_is_no_object(self, tmp_path: Path) -> None:
        (problem,) = problems(self.write_lines(tmp_path, self.GOOD, "", "[1]"), tmp_path)
        assert names(problem, 3, "list")

    @pytest.mark.parametrize(
        ("cell", "found"),
        [
            ("null", None),
            ("NaN", None),
            ('["a"]', "list"),
            ('{"a": 1}', "dict"),
            (r'"\ud83d"', "Unicode"),
        ],
    )
    def test_cells_that_are_no_text(self, tmp_path: Path, cell: str, found: str | None) -> None:
        line = f'{{"input": {cell}, "target": "b"}}'
        (problem,) = problems(self.write_lines(tmp_path, self.GOOD, line), tmp_path)
        assert names(problem, "input", 1, 2)
        for each in ("list", "dict", "Unicode"):
            assert names(problem, each) == (each == found)

    def test_a_key_that_some_rows_lack(self, tmp_path: Path) -> None:
        source = self.write_lines(tmp_path, self.GOOD, '{"input": "a"}')
        (problem,) = problems(source, tmp_path)
        assert names(problem, "target", 1, 2)

    def test_an_escaped_pair_is_one_emoji(self, tmp_path: Path) -> None:
        source = self.write_lines(tmp_path, r'{"input": "\ud83d\ude00", "target": "b"}')
        assert read_source(source, tmp_path)["train"][0].input == "😀"

    def test_a_byte_order_mark_is_skipped(self, tmp_path: Path) -> None:
        source = self.write_lines(tmp_path, self.GOOD, encoding="utf-8-sig")
        assert pairs_of(read_source(source, tmp_path)["train"]) == [("a", "b")]

    def test_other_encodings_are_refused_with_the_line(self, tmp_path: Path) -> None:
        line = '{"input": "café", "target": "b"}'
        source = self.write_lines(tmp_path, self.GOOD, line, encoding="latin-1")
        (problem,) = problems(source, tmp_path)
        assert names(problem, tmp_path / "x.jsonl", 2, "UTF-8")

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (problem,) = problems(self.write_lines(tmp_path, ""), tmp_path)
        assert names(problem, tmp_path / "x.jsonl")

    @pytest.mark.parametrize("indent", [None, 1])
    @pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
    def test_an_array_of_rows_is_read(self, tmp_path: Path, name: str, indent: int | None) -> None:
        rows = rows_of(("a", "b"), ("c\nd", "e"))
        path = tmp_path / name
        path.write_text("\ufeff\n" + json.dumps(rows, indent=indent), encoding="utf-8")
        source = make(**find_source(path))
        assert pairs_of(read_source(source, tmp_path)["train"]) == [("a", "b"), ("c\nd", "e")]
        path.write_text(json.dumps([*rows, {"input": "f"}], indent=indent))
        (problem,) = problems(source, tmp_path)
        assert names(problem, path, "target", 3)
        for broken in (json.dumps(rows, indent=indent)[:-1], "[1]", "[]"):
            path.write_text(broken)
            (problem,) = problems(source, tmp_path)
            assert names(problem, path)

    def test_a_row_of_an_array_that_is_no_object_is_named(self, tmp_path: Path) -> None:
        rows = f"[{self.GOOD},\n\n{self.GOOD}, 5,\n[2],\n{self.GOOD}]"
        (problem,) = problems(self.write_lines(tmp_path, rows), tmp_path)
        assert names(problem, tmp_path / "x.jsonl", "row 3", "int", "1 row")

    @pytest.mark.parametrize(
        ("lines", "number", "column"),
        [
            (("[", GOOD + ",", GOOD[:-1], "]"), 4, 1),
            (("", "[" + GOOD + ",", "  " + GOOD + " " + GOOD + "]"), 3, 33),
            (("[" + GOOD + ",", GOOD + ","), 2, 31),
            (("[" + GOOD + ", {5: 6}]",), 1, 34),
            (("[", GOOD, "]", "x"), 4, 1),
        ],
    )
    def test_a_broken_array_is_told_with_its_place(
        self, tmp_path: Path, lines: tuple[str, ...], number: int, column: int
    ) -> None:
        (problem,) = problems(self.write_lines(tmp_path, *lines), tmp_path)
        assert names(problem, f"line {number}", f"column {column}")

    def test_lines_that_begin_as_an_array_does_stay_lines(self, tmp_path: Path) -> None:
        source = self.write_lines(tmp_path, '["a"]', self.GOOD, "{", "[2]")
        (problem,) = problems(source, tmp_path)
        assert names(problem, "line 1", "list", "2 lines")

    def test_lines_come_before_an_array_in_another_file(self, tmp_path: Path) -> None:
        write(tmp_path / "train.jsonl", rows_of(("a", "b")))
        (tmp_path / "train.json").write_text("[]")
        (tmp_path / "dataset_infos.json").write_text("{}")
        source = make(kind="jsonl", path=".")
        assert pairs_of(read_source(source, tmp_path)["train"]) == [("a", "b")]
        assert source.unread_files(tmp_path, SUFFIXES) == ["train.json"]

    def test_true_is_not_one(self, tmp_path: Path) -> None:
        write(tmp_path / "x.jsonl", [{"input": "a", "target": "b", "k": True}])
        source = make(kind="jsonl", path="x.jsonl", where={"k": 1})
        (problem,) = problems(source, tmp_path)
        assert names(problem, "where", "k", "True")
