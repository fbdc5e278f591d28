"""Comma-separated values."""

from pathlib import Path

import pytest

from lamol_core.data.sources.registry import read_source
from tests.data.sources.tables import make, pairs_of, problems, rows_of, write
from tests.messages import mentions, names


class TestCsv:
    def read(self, tmp_path: Path, text: str, kind: str = "csv") -> list[tuple[str, str]]:
        (tmp_path / "x").write_bytes(text.encode())
        return pairs_of(read_source(make(kind=kind, path="x"), tmp_path)["train"])

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_byte_order_mark_line_ends_and_blank_lines(self, tmp_path: Path, end: str) -> None:
        text = "\ufeffinput,target" + end + end.join(["a,b", "", '"c, d",e', ""])
        assert self.read(tmp_path, text) == [("a", "b"), ("c, d", "e")]

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("input,target\na,b\nc\n1,2,3\n", [3, 1, 2]),
            ('input,target\n"a\nb",c\nd\n', [4, 1, 2]),
            ('input,target\na,b\n"c"x,d\n', [3]),
            ('input,target\na,b\n"c,d\n', [3]),
            ("input,target,input\na,b,c\n", [1, "input"]),
            ("", []),
            ("input,target\n", []),
        ],
    )
    def test_broken_files_name_the_line(self, tmp_path: Path, text: str, named: list) -> None:
        (tmp_path / "x").write_text(text)
        (problem,) = problems(make(kind="csv", path="x"), tmp_path)
        assert names(problem, tmp_path / "x", *named)

    def test_line_numbers_count_the_lines_inside_of_quotes(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text('input,target\n"a\nb\nc",d\n  ,e\n')
        (problem,) = problems(make(kind="csv", path="x"), tmp_path)
        assert names(problem, "input", 5)

    def test_where_compares_as_strings(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("input,target,k,flag\na,b,1,true\nc,d,2,False\n")
        for where in ({"k": 1}, {"k": "1"}, {"flag": True}, {"flag": "true"}):
            rows = read_source(make(kind="csv", path="x", where=where), tmp_path)["train"]
            assert pairs_of(rows) == [("a", "b")], where


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_what_a_spreadsheet_saves_is_read(tmp_path: Path, kind: str) -> None:
    """Columns without a name, lines without text, and empty fields at a line's end or none."""
    lines = [",,,", "input,,target,,", "a,note,b,,", ",,,,", "c,,d", "e,,f,,,,", ",", "g,,h,note,"]
    text = "\n".join(lines).replace(",", "," if kind == "csv" else "\t")
    (tmp_path / "x").write_text(text)
    source = make(kind=kind, path="x")
    assert pairs_of(read_source(source, tmp_path)["train"]) == [*zip("aceg", "bdfh", strict=True)]
    for broken in ("i", "i,,,,,j"):
        (tmp_path / "x").write_text(f"{text}\n{broken.replace(',', source.separator)}\n")
        (problem,) = problems(source, tmp_path)
        assert names(problem, tmp_path / "x", len(lines) + 1, broken.count(",") + 1, 2, 5)


def test_a_field_of_any_length_is_read(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", rows_of(("long " * 40_000, "a"), ("b", "c")))
    rows = read_source(make(kind="csv", path="x.csv"), tmp_path)["train"]
    assert len(rows[0].input) > 199_000


def test_a_csv_with_semicolons_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("input;target\na;b\n")
    for problem in problems(make(kind="csv", path="x.csv"), tmp_path):
        assert names(problem, tmp_path / "x.csv", "';'")
        assert mentions(problem, "input;target") == 1, "shown, and no guess"
    (tmp_path / "x.tsv").write_text("input,target\na,b\n")
    assert names(problems(make(kind="tsv", path="x.tsv"), tmp_path)[0], "kind", "','")
    (tmp_path / "x.jsonl").write_text('{"name, first": "a"}\n')
    (problem, _) = problems(make(kind="jsonl", path="x.jsonl"), tmp_path)
    assert names(problem, "name, first") and not names(problem, "kind")


def test_quotation_marks_in_a_tsv_are_text(tmp_path: Path) -> None:
    lines = ["input\ttarget", '"good film\tpos', "bad one\tneg", 'the end"\tpos',
             '"Good" film\tpos', '"in ""quotes"", whole"\tneg']  # fmt: skip
    (tmp_path / "x.tsv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    rows = read_source(make(kind="tsv", path="x.tsv"), tmp_path)["train"]
    assert pairs_of(rows) == [
        ('"good film', "pos"),
        ("bad one", "neg"),
        ('the end"', "pos"),
        ('"Good" film', "pos"),
        ('in "quotes", whole', "neg"),
    ]
