"""Every kind of file: the same pairs, and errors that say where and what to do."""

import errno
import os
from pathlib import Path

import pytest

from lamol_core.data.sources.local_files import LocalFiles
from lamol_core.data.sources.registry import SOURCES, SUFFIXES, read_source
from lamol_core.pipeline.init import find_source
from tests.data.sources.tables import PAIRS, limited, make, pairs_of, problems, rows_of, write
from tests.messages import mentions, names

FILE_KINDS = [kind for kind, source in SOURCES.items() if issubclass(source, LocalFiles)]


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
        assert make(kind=kind, path="d").unread_files(tmp_path, SUFFIXES) == [f"val.{kind}"]

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


@pytest.mark.parametrize("kind", FILE_KINDS)
@pytest.mark.parametrize("inside", ["", "data/"])
class TestShards:
    def test_all_of_them_are_read_in_their_order(
        self, kind: str, inside: str, tmp_path: Path
    ) -> None:
        """As the hub lays data sets out: beside a README, in a folder of their own."""
        (tmp_path / "README.md").touch()
        for number, pair in enumerate(PAIRS):
            write(tmp_path / f"{inside}train-0000{number}-of-00003.{kind}", rows_of(pair))
        write(tmp_path / f"{inside}validation-00000-of-00001-a09b74b3.{kind}", rows_of(PAIRS[0]))
        source = make(kind=kind, path=str(tmp_path))
        rows = read_source(source, Path())
        assert {split: pairs_of(part) for split, part in rows.items()} == {
            "train": PAIRS,
            "dev": PAIRS[:1],
        }
        assert source.files(Path()) == {*tmp_path.rglob(f"*-of-*.{kind}")}
        assert source.unread_files(Path(), SUFFIXES) == []
        assert find_source(tmp_path) == {"kind": kind, "path": str(tmp_path)}
        write(tmp_path / f"{inside}train-00001-of-00003.{kind}", rows_of((" ", "b")))
        (problem,) = problems(source, Path())
        assert names(problem, f"train-00000-of-00003.{kind}", "input", 2)

    def test_one_that_is_missing_is_told(self, kind: str, inside: str, tmp_path: Path) -> None:
        first = write(tmp_path / f"{inside}train-00000-of-00003.{kind}", rows_of(*PAIRS))
        write(tmp_path / f"{inside}train-00002-of-00003.{kind}", rows_of(*PAIRS))
        (problem,) = problems(make(kind=kind, path=str(tmp_path)), Path())
        assert names(problem, first, 2, 3)
        write(tmp_path / f"{inside}train.{kind}", rows_of(*PAIRS))
        assert any(
            names(each, f"train.{kind}", first.name)
            for each in problems(make(kind=kind, path=str(tmp_path)), Path())
        )


@pytest.mark.parametrize("kind", [*FILE_KINDS, "hub"])
def test_a_pointer_of_git_lfs_is_told_as_such(kind: str, tmp_path: Path) -> None:
    suffix = "parquet" if kind == "hub" else kind
    path = tmp_path / f"train.{suffix}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    (problem,) = problems(make(kind=kind, path=str(tmp_path)), Path())
    assert names(problem, path, "git lfs pull")


def test_a_folder_s_own_files_come_before_those_of_data(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", rows_of(*PAIRS))
    for name in ("train.csv", "test.csv", "train.parquet"):
        write(tmp_path / "data" / name, rows_of(PAIRS[0]))
    assert find_source(tmp_path)["kind"] == "csv"
    rows = read_source(make(kind="csv", path=str(tmp_path)), Path())
    assert {split: len(part) for split, part in rows.items()} == {"train": 3}


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


def test_a_path_that_no_disk_could_have_is_told(tmp_path: Path) -> None:
    (problem,) = problems(make(kind="csv", path="x" * 300), tmp_path)
    assert names(problem, tmp_path / ("x" * 300), os.strerror(errno.ENAMETOOLONG))
