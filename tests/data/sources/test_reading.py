"""Sources: each kind reads the same pairs, and every error says where and what to do."""

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from lamol_core.data.columns import RawRow, SourceError, limit_rows
from lamol_core.data.sources.reading import SOURCES, read_source, unread_files
from lamol_core.data.sources.spec import Source
from lamol_core.errors import ConfigError
from tests.messages import mentions, names, naming

PAIRS = [("hello there", "greet"), ("bye 👋🏽", "part"), ('say "hi", now', "greet")]


def make(**block: Any) -> Source:
    return TypeAdapter(Source).validate_python(block)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        import csv

        with path.open("w", encoding="utf-8", newline="") as stream:
            delimiter = "," if path.suffix == ".csv" else "\t"
            writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    return path


def rows_of(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"input": x, "target": y} for x, y in pairs]


def pairs_of(rows: list[RawRow]) -> list[tuple[str, str]]:
    return [(row.input, row.target) for row in rows]


def limited(source: Source, root: Path) -> dict[str, list[RawRow]]:
    return limit_rows(read_source(source, root), source)


def problems(source: Source, root: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_source(source, root)
    assert isinstance(caught.value, SourceError)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


FILE_KINDS = ["jsonl", "csv", "tsv", "parquet"]


@pytest.mark.parametrize("kind", FILE_KINDS)
class TestEveryFileKind:
    def test_a_file_is_the_training_split_in_file_order(self, kind: str, tmp_path: Path) -> None:
        write(tmp_path / f"x.{kind}", rows_of(*PAIRS))
        rows = read_source(make(kind=kind, path=f"x.{kind}"), tmp_path)
        assert {split: pairs_of(part) for split, part in rows.items()} == {"train": PAIRS}

    @pytest.mark.parametrize("name", ["dev", "validation", "valid", "val"])
    def test_a_folder_has_the_splits_it_has(self, kind: str, name: str, tmp_path: Path) -> None:
        write(tmp_path / f"d/train.{kind}", rows_of(*PAIRS))
        write(tmp_path / f"d/{name}.{kind}", rows_of(PAIRS[0]))
        rows = read_source(make(kind=kind, path=str(tmp_path / "d")), Path("/nowhere"))
        assert {split: len(part) for split, part in rows.items()} == {"train": 3, "dev": 1}

    def test_a_name_of_the_second_choice_gives_way(self, kind: str, tmp_path: Path) -> None:
        for name, rows in (("train", PAIRS), ("val", PAIRS[:2]), ("dev", PAIRS[:1])):
            write(tmp_path / f"d/{name}.{kind}", rows_of(*rows))
        rows = read_source(make(kind=kind, path="d"), tmp_path)
        assert {split: len(part) for split, part in rows.items()} == {"train": 3, "dev": 1}
        assert unread_files(make(kind=kind, path="d"), tmp_path) == [f"val.{kind}"]

    def test_two_names_for_dev_are_refused(self, kind: str, tmp_path: Path) -> None:
        for name in ("train", "dev", "validation"):
            write(tmp_path / f"d/{name}.{kind}", rows_of(*PAIRS))
        (problem,) = problems(make(kind=kind, path="d"), tmp_path)
        assert names(problem, tmp_path / "d", f"dev.{kind}", f"validation.{kind}")

    def test_a_folder_without_train_says_what_it_holds(self, kind: str, tmp_path: Path) -> None:
        write(tmp_path / f"d/training.{kind}", rows_of(*PAIRS))
        (problem,) = problems(make(kind=kind, path="d"), tmp_path)
        assert names(problem, tmp_path / "d", f"train.{kind}", f"training.{kind}")

    def test_a_missing_file_says_where_paths_start(self, kind: str, tmp_path: Path) -> None:
        (problem,) = problems(make(kind=kind, path="gone"), tmp_path)
        assert names(problem, tmp_path / "gone", "params.yaml")

    def test_missing_columns_are_all_named_with_a_guess(self, kind: str, tmp_path: Path) -> None:
        write(tmp_path / f"x.{kind}", rows_of(*PAIRS))
        source = make(kind=kind, path=f"x.{kind}", input="inptu", target="{label}")
        first, second = problems(source, tmp_path)
        assert names(first, tmp_path / f"x.{kind}", "inptu", "input", "target")
        assert names(second, tmp_path / f"x.{kind}", "label", "input", "target")
        assert mentions(first, "input") > mentions(second, "input"), "the guess"

    def test_blank_cells_are_counted_with_the_first_place(self, kind: str, tmp_path: Path) -> None:
        write(tmp_path / f"x.{kind}", rows_of(("a", "b"), ("  ", "b"), (" ", " "), ("c", "d")))
        found = problems(make(kind=kind, path=f"x.{kind}"), tmp_path)
        offset = 1 if kind in ("csv", "tsv") else 0
        assert len(found) == 2
        assert names(found[0], "input", 2, 2 + offset) and not names(found[0], "target")
        assert names(found[1], "target", 1, 3 + offset) and not names(found[1], "input")

    def test_errors_of_every_split_come_at_once(self, kind: str, tmp_path: Path) -> None:
        for split in ("train", "test"):
            write(tmp_path / f"d/{split}.{kind}", rows_of((" ", "b")))
        first, second = problems(make(kind=kind, path="d"), tmp_path)
        assert f"train.{kind}" in first
        assert f"test.{kind}" in second

    def test_where_compares_and_says_what_is_there(self, kind: str, tmp_path: Path) -> None:
        rows = [{"input": f"r{i}", "target": "t", "part": i % 3, "use": i > 0} for i in range(6)]
        path = f"{write(tmp_path / f'x.{kind}', rows)}"
        kept = read_source(make(kind=kind, path=path, where={"part": [0, 2]}), tmp_path)["train"]
        assert [row.input for row in kept] == ["r0", "r2", "r3", "r5"]
        both = {"part": 0, "use": True}
        kept = read_source(make(kind=kind, path=path, where=both), tmp_path)["train"]
        assert [row.input for row in kept] == ["r3"]
        (problem,) = problems(make(kind=kind, path=path, where={"part": 7}), tmp_path)
        assert names(problem, "where", "part", 6, 0, 1, 2)
        (problem,) = problems(make(kind=kind, path=path, where={"parts": 7}), tmp_path)
        assert names(problem, "parts") and mentions(problem, "part") == 2, "a guess, and the list"

    def test_limits(self, kind: str, tmp_path: Path) -> None:
        rows = rows_of(*[(f"{i}", "zyx"[i % 3]) for i in range(9)])
        write(tmp_path / f"d/train.{kind}", rows)
        write(tmp_path / f"d/test.{kind}", rows)
        limits = {"max_targets": 2, "limit_per_target": 1}
        read = limited(make(kind=kind, path="d", **limits), tmp_path)
        assert pairs_of(read["train"]) == [("1", "y"), ("2", "x")]
        assert pairs_of(read["test"]) == [(f"{i}", "zyx"[i % 3]) for i in (1, 2, 4, 5, 7, 8)]
        limits = {"max_targets": 2, "limit_train": 3, "limit_test": 2}
        read = limited(make(kind=kind, path="d", **limits), tmp_path)
        assert pairs_of(read["train"]) == [("1", "y"), ("2", "x"), ("4", "y")]
        assert pairs_of(read["test"]) == [("1", "y"), ("2", "x")]

    def test_text_keeps_its_characters(self, kind: str, tmp_path: Path) -> None:
        texts = ["a\nb", "\u2028x\u0085y", "{not} a template", "tab\there", "👩‍👩‍👧 é"]
        write(tmp_path / f"x.{kind}", rows_of(*[(text, "t") for text in texts]))
        read = read_source(make(kind=kind, path=f"x.{kind}"), tmp_path)["train"]
        assert [row.input for row in read] == texts


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

    def test_true_is_not_one(self, tmp_path: Path) -> None:
        write(tmp_path / "x.jsonl", [{"input": "a", "target": "b", "k": True}])
        source = make(kind="jsonl", path="x.jsonl", where={"k": 1})
        (problem,) = problems(source, tmp_path)
        assert names(problem, "where", "k", "True")


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


def test_parquet_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no")
    (problem,) = problems(make(kind="parquet", path="x.parquet"), tmp_path)
    assert names(problem, tmp_path / "x.parquet", "Parquet")


def test_parquet_labels_in_a_dictionary_and_numbers(tmp_path: Path) -> None:
    table = pa.table({"input": [1, 2], "target": pa.array(["a", "b"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "x.parquet")
    rows = read_source(make(kind="parquet", path="x.parquet"), tmp_path)["train"]
    assert pairs_of(rows) == [("1", "a"), ("2", "b")]


def test_demo_has_all_splits() -> None:
    rows = limited(make(kind="demo", task="home", limit_per_target=2), Path())
    assert {split: len(part) for split, part in rows.items()} == {
        "train": 16,
        "dev": 60,
        "test": 100,
    }


def test_unknown_demo_task() -> None:
    (problem,) = problems(make(kind="demo", task="hme"), Path())
    assert names(problem, "hme", "home")


def test_a_test_split_without_the_targets_that_stay(tmp_path: Path) -> None:
    write(tmp_path / "d/train.csv", rows_of(("1", "a"), ("2", "b")))
    write(tmp_path / "d/test.csv", rows_of(("3", "b")))
    (problem,) = problems(make(kind="csv", path="d", max_targets=1), tmp_path)
    assert names(problem, "test", 1, "max_targets")


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "x.csv", rows_of(*PAIRS))
    assert len(read_source(make(kind="csv", path="~/x.csv"), Path("/nowhere"))["train"]) == 3
    (problem,) = problems(make(kind="csv", path="~no-such-user/x"), tmp_path)
    assert names(problem, tmp_path / "~no-such-user/x")


def test_copies_of_dvc_are_told_apart(tmp_path: Path) -> None:
    root = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    root.mkdir(parents=True)
    (problem,) = problems(make(kind="csv", path="../x.csv"), root)
    assert names(problem, root / "../x.csv", "dvc exp run --temp", "path")
    (problem,) = problems(make(kind="csv", path="/gone/x.csv"), root)
    assert "dvc exp" not in problem


class TestHub:
    @pytest.fixture(autouse=True)
    def no_home_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        import datasets

        home = tmp_path / "home_cache"
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", home)
        return home

    def test_a_local_folder_leaves_no_rows_in_the_cache(
        self, tmp_path: Path, no_home_cache: Path
    ) -> None:
        rows = [{"text": "canary-7316", "label": "x"}, {"text": "b", "label": "y"}]
        write(tmp_path / "d/train.csv", rows)
        write(tmp_path / "d/test.csv", rows[:1])
        source = make(kind="hub", path="d", test="test", input="text", target="label")
        read = read_source(source, tmp_path)
        assert pairs_of(read["train"]) == [("canary-7316", "x"), ("b", "y")]
        assert list(read) == ["train", "test"]
        cached = [path for path in no_home_cache.rglob("*") if path.is_file()]
        assert all(b"canary-7316" not in path.read_bytes() for path in cached)

    def test_class_labels_become_their_names(self, tmp_path: Path) -> None:
        from datasets import ClassLabel, Dataset, Features, Value

        features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
        data = Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
        (tmp_path / "d").mkdir()
        data.to_parquet(tmp_path / "d" / "train.parquet")
        source = make(kind="hub", path="d", input="text", target="label", where={"label": "yes"})
        assert pairs_of(read_source(source, tmp_path)["train"]) == [("a", "yes")]

    def test_missing_columns_and_splits(self, tmp_path: Path) -> None:
        write(tmp_path / "d/train.parquet", rows_of(*PAIRS))
        (problem,) = problems(make(kind="hub", path="d", input="text"), tmp_path)
        assert names(problem, tmp_path / "d", "train", "text", "input", "target")
        (problem,) = problems(make(kind="hub", path="d", train="trian"), tmp_path)
        assert names(problem, tmp_path / "d", "trian", "path", "name", "revision")

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (ConnectionError("Couldn't reach 'a/b' on the Hub\nmore"), "reach 'a/b' on the Hub"),
            (TimeoutError(), "TimeoutError"),
        ],
    )
    def test_no_network(self, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
        import datasets

        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(datasets, "load_dataset", fail)
        (problem,) = problems(make(kind="hub", path="a/b"), Path())
        assert names(problem, "a/b", "train", "kind: parquet", told)

    def test_what_is_asked_of_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import datasets

        calls = []

        def load(*args: Any, **options: Any) -> Any:
            calls.append((args, options))
            return datasets.Dataset.from_list(rows_of(*PAIRS)).to_iterable_dataset()

        monkeypatch.setattr(datasets, "load_dataset", load)
        read_source(make(kind="hub", path="a/b", name="c", revision="r", dev="valid[:9]"), Path())
        same = {"revision": "r", "streaming": True}
        assert calls == [
            (("a/b", "c"), {"split": "train", **same}),
            (("a/b", "c"), {"split": "valid[:9]", **same}),
        ]


def test_every_kind_of_the_configuration_has_a_reader() -> None:
    from lamol_core.data.sources.spec import DemoSource, FileSource, HubSource

    kinds = {
        kind
        for model in (DemoSource, FileSource, HubSource)
        for kind in model.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
    }
    assert set(SOURCES) == kinds


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
    assert names(problems(make(kind="tsv", path="x.tsv"), tmp_path)[0], "kind: csv")
    (tmp_path / "x.jsonl").write_text('{"name, first": "a"}\n')
    (problem, _) = problems(make(kind="jsonl", path="x.jsonl"), tmp_path)
    assert names(problem, "name, first") and not names(problem, "kind: csv")


def test_a_path_that_no_disk_could_have_is_told(tmp_path: Path) -> None:
    (problem,) = problems(make(kind="csv", path="x" * 300), tmp_path)
    assert names(problem, tmp_path / ("x" * 300), os.strerror(errno.ENAMETOOLONG))
