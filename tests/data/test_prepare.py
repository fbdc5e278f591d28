"""What `prepare` writes, says of the rows, and refuses."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from lamol_core.artifacts.figures import read_json_as
from lamol_core.artifacts.layout import Layout
from lamol_core.data.canaries import read_canaries
from lamol_core.data.columns import RawRow
from lamol_core.data.params import PrepareParams, TaskParams
from lamol_core.data.prepare import find_facts, prepare_task, write_base
from lamol_core.data.task_data import TaskData
from lamol_core.errors import ConfigError
from lamol_core.records import TaskFacts
from tests.data.tasks import PREPARE, Sequence, block, classes, files_of, write_jsonl
from tests.messages import names, naming


def test_canaries_are_planted_among_training_rows_alone(tmp_path: Path) -> None:
    roots = [tmp_path / name for name in ("plain", "canaried")]
    source = {"kind": "demo", "task": "home"}
    task = TaskParams.model_validate({"after": "base", "source": source})
    folders = [root / "data" / "home" for root in roots]
    for root, count in zip(roots, (0, 4), strict=True):
        write_base(root / "data" / "base")
        base = TaskData.load(root / "data" / "base")
        prepare_task("home", task, PrepareParams(canaries=count), base, Layout(root))
    plain, planted = (TaskData.load(folder) for folder in folders)
    assert read_canaries(folders[0]) == [] and len(read_canaries(folders[1])) == 4
    assert planted.rows("train")[:-4] == plain.rows("train")
    assert planted.rows("test") == plain.rows("test")
    assert planted.facts.classes == plain.facts.classes
    assert planted.facts.num_rows["train"] == len(planted.rows("train"))
    for row, canary in zip(planted.rows("train")[-4:], read_canaries(folders[1]), strict=True):
        assert (row.row_id, row.input) == (canary.row_id, canary.text)


def test_limits_are_of_the_splits_that_were_cut(tmp_path: Path) -> None:
    made = Sequence(tmp_path)
    write_jsonl(tmp_path / "raw" / "d.jsonl", classes("d", "pqrs", 400))
    source = {"kind": "jsonl", "path": "raw/d.jsonl"}

    def numbers(**limits: int) -> tuple[dict[str, int], list[str]]:
        notes = made.prepare("d", "base", source={**source, **limits})
        return made.load("d").facts.num_rows, notes

    assert numbers(limit_per_target=40)[0] == {"train": 160, "dev": 40, "test": 80}
    assert numbers(limit_train=100)[0] == {"train": 100, "dev": 40, "test": 80}
    rows, notes = numbers(limit_test=10)
    assert rows == {"train": 280, "dev": 40, "test": 10}
    assert any(names(note, "test", 80) for note in notes)


def test_what_is_said_beats_what_is_guessed(sequence: Sequence) -> None:
    sequence.prepare("b", "a", targets="classes", metric="rouge_l")
    facts = sequence.load("b").facts
    assert (facts.targets, facts.metric, len(facts.classes)) == ("classes", "rouge_l", 30)


def test_same_inputs_same_bytes_wherever_the_folder_lies(tmp_path: Path) -> None:
    written = []
    for place in ("one", "two/deep"):
        made = Sequence(tmp_path / place)
        made.prepare("a", "base")
        made.prepare("b", "a")
        written.append(files_of(tmp_path / place / "data"))
        assert all(str(tmp_path).encode() not in content for content in written[-1].values())
    assert written[0] == written[1]


def test_a_second_run_leaves_the_files_alone(sequence: Sequence) -> None:
    before = (sequence.data("b") / "train.parquet").stat().st_ino
    sequence.prepare("b", "a")
    assert (sequence.data("b") / "train.parquet").stat().st_ino == before


def test_manifest_says_where_it_came_from(sequence: Sequence) -> None:
    manifest = json.loads((sequence.data("b") / "manifest.json").read_text())
    assert manifest["kind"] == "data"
    assert manifest["rows"] == {"train": 21, "dev": 3, "test": 6}
    assert manifest["parameters"]["prepare"] == PREPARE.model_dump()
    assert manifest["parameters"]["task"]["b"]["source"]["path"] == "raw/b.jsonl"


class TestNotes:
    def prepare(self, root: Path, splits: dict[str, list[tuple[str, str]]]) -> list[str]:
        made = Sequence(root)
        for split, pairs in splits.items():
            write_jsonl(root / "raw" / "n" / f"{split}.jsonl", pairs)
        task = block("base", "raw/n")
        return prepare_task("n", task, PREPARE, made.load("base"), Layout(root))

    def test_clean_data_have_none(self, tmp_path: Path) -> None:
        rows = classes("n", "pq")
        splits = {"train": rows[:40], "dev": rows[40:50], "test": rows[50:]}
        assert self.prepare(tmp_path, splits) == []

    def test_targets_without_a_test_row_are_told(self, tmp_path: Path) -> None:
        rows = classes("n", "pq")
        splits = {"train": rows[:40], "test": [row for row in rows if row[1] == "n-p"]}
        told = self.prepare(tmp_path, splits)
        assert any(names(note, "test", 1, 2) for note in told)

    def test_what_is_odd_is_told_without_quoting_a_row(self, tmp_path: Path) -> None:
        rows = classes("n", "pq")
        splits = {
            "train": [*rows[:50], (rows[0][0], "n-q")],
            "test": [rows[50], rows[3], ("secret words", "secret label")],
        }
        notes = self.prepare(tmp_path, splits)
        assert any(names(note, "dev", 5) for note in notes)
        assert any(names(note, "test", "train", 1, "n/test/000001") for note in notes)
        assert any(names(note, "test", 1, "n/test/000002") for note in notes)
        assert not any("secret" in note for note in notes)
        plain = self.prepare(tmp_path / "plain", {**splits, "train": rows[:50]})
        assert len(notes) == len(plain) + 1, "on a training row that repeats another's input"

    def test_a_file_that_is_no_split_is_named(self, tmp_path: Path) -> None:
        rows = classes("n", "pq")
        splits = {"train": rows[:40], "dev": rows[40:50], "test": rows[50:], "more": rows}
        (tmp_path / "raw" / "n").mkdir(parents=True)
        for name in ("._train.jsonl", "test.tsv", "README.md", "other.csv"):
            (tmp_path / "raw" / "n" / name).touch()
        (told,) = self.prepare(tmp_path, splits)
        assert names(told, "more.jsonl", "test.tsv")
        assert not any(names(told, name) for name in ("README.md", "other.csv", "train.jsonl"))

    def test_labels_that_read_alike_are_told(self, tmp_path: Path) -> None:
        def told(*labels: str) -> list[str]:
            """The labels that notes quote, in pairs."""
            rows = [(f"row {i}", labels[i % len(labels)]) for i in range(60)]
            notes = self.prepare(tmp_path, {"train": rows, "dev": rows[:9], "test": rows[:10]})
            return re.findall(r"'([^']*)'", "\n".join(notes))

        assert told("it", "is", "a", "label") == []
        assert told("it", "IT", "it ", "i t") == ["it", "IT", "it", "it "]
        assert told("1", "2", "1.0") == ["1", "1.0"] and told("1", "2", "-1") == []
        assert told("9007199254740993", "9007199254740992", "inf", "infinity", "1_0", "10") == []
        assert len(told("a", "A", "a ", " a", "A ")) == 2 * 3, "three of its four pairs"

    @pytest.mark.parametrize("split", ["dev", "test"])
    def test_labels_that_read_alike_in_two_splits_are_told(
        self, tmp_path: Path, split: str
    ) -> None:
        """A spreadsheet saves 1 in one file and 1.0 in another: no answer would ever be right."""
        rows = {"train": [(f"row {i}", "12"[i % 2]) for i in range(60)]}
        rows |= {s: [(f"{s} {i}", "12"[i % 2]) for i in range(10)] for s in ("dev", "test")}
        assert not any("'" in note for note in self.prepare(tmp_path, rows))
        rows[split] = [(text, f"{label}.0") for text, label in rows[split]]
        told = "\n".join(self.prepare(tmp_path, rows))
        assert re.findall(r"'([^']*)'", told) == ["1", "1.0", "2", "2.0"]

    def test_a_target_of_test_alone_has_an_index_of_its_own(self, tmp_path: Path) -> None:
        rows = classes("n", "pq")
        self.prepare(tmp_path, {"train": rows, "test": [("new", "a first in the alphabet")]})
        data = TaskData.load(tmp_path / "data" / "n")
        assert {row.target: row.label_idx_cil for row in data.rows("train")} == {"n-p": 0, "n-q": 1}
        assert [row.label_idx_cil for row in data.rows("test")] == [2]
        assert len(data.facts.classes) == 3
        following = tmp_path / "data" / "c"
        prepare_task("c", block("n", "raw/c.jsonl"), PREPARE, data, Layout(tmp_path))
        indices = {row.label_idx_cil for row in TaskData.load(following).rows("train")}
        assert indices == {3, 4, 5}, "the next task's come after it"

    def test_repeating_text_targets_may_be_labels(self, tmp_path: Path) -> None:
        rows = classes("n", "pqrst", count=25)
        assert any(names(n, "targets: classes") for n in self.prepare(tmp_path, {"train": rows}))


def test_labels_of_test_rows_alone_are_not_learnt(tmp_path: Path) -> None:
    targets = {"train": ("yes", "no", "yes"), "dev": ("no",), "test": ("maybe", "yes")}
    rows = {split: [RawRow("a", target) for target in targets[split]] for split in targets}
    task = TaskParams.model_validate({"after": "base", "source": {"kind": "demo", "task": "home"}})
    facts = find_facts("a", task.model_copy(update={"targets": "classes"}), rows)
    assert facts.classes == ("no", "yes", "maybe"), "each has its index"
    assert facts.learnt_classes == ("no", "yes"), "what a teacher can be asked for"
    (tmp_path / "facts.json").write_text(json.dumps(asdict(facts)))
    assert read_json_as(TaskFacts, tmp_path / "facts.json", "") == facts


def test_a_source_is_not_written_over(tmp_path: Path) -> None:
    write_base(tmp_path / "data" / "base")
    base = TaskData.load(tmp_path / "data" / "base")
    out = tmp_path / "data" / "a"
    out.mkdir(parents=True)
    (out / "train.csv").write_text("input,target\nx,y\n")
    source = {"kind": "csv", "path": "data/a"}
    task = TaskParams.model_validate({"after": "base", "source": source})
    with pytest.raises(ConfigError, match=naming("tasks.a.source", out)):
        prepare_task("a", task, PrepareParams(), base, Layout(tmp_path))
    assert (out / "train.csv").read_text() == "input,target\nx,y\n"
