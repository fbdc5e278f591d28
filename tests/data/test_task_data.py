"""data/T/: what is written, what later tasks see of it, and that it never differs."""

import json
import shutil
from pathlib import Path

import pytest

from lamol_core.artifacts.layout import Layout
from lamol_core.data.params import PrepareParams
from lamol_core.data.prepare import prepare_task, write_base
from lamol_core.data.task_data import TaskData
from lamol_core.data.tombstones import write_record
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.privacy.removal import forget_rows
from lamol_core.records import SPLITS, TaskFacts
from tests.data.tasks import PREPARE, Sequence, block, classes, files_of
from tests.messages import naming


def test_base_holds_no_task_and_is_always_the_same(tmp_path: Path) -> None:
    write_base(tmp_path / "one" / "base")
    write_base(tmp_path / "two" / "base")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert json.loads((tmp_path / "one" / "base" / "lineage.json").read_text()) == []
    base = TaskData.load(tmp_path / "one" / "base")
    assert (base.name, base.lineage, base.earlier) == ("base", (), ())
    with pytest.raises(ArtifactError, match=naming(tmp_path / "one" / "base")):
        _ = base.facts


def test_lineage_is_in_learning_order_with_auto_resolved(sequence: Sequence) -> None:
    data = sequence.load("c")
    assert data.name == "c"
    num_rows = {"train": 42, "dev": 6, "test": 12}
    assert data.facts == TaskFacts("c", "accuracy", "classes", data.facts.classes, num_rows, 3)
    assert len(data.facts.classes) == 3
    assert [(f.name, f.metric, f.targets, len(f.classes)) for f in data.earlier] == [
        ("a", "accuracy", "classes", 2),
        ("b", "token_f1", "text", 0),
    ]


def test_class_indices_count_on_over_the_tasks(sequence: Sequence) -> None:
    def labels(name: str) -> dict[str, int]:
        return {r.target: r.label_idx_cil for s in SPLITS for r in sequence.load(name).rows(s)}

    assert labels("a") == {"a-x": 0, "a-y": 1}
    assert set(labels("b").values()) == {0}
    assert labels("c") == {"c-r": 2, "c-s": 3, "c-t": 4}


def test_rows_are_named_and_none_is_lost(sequence: Sequence) -> None:
    rows = [row for split in SPLITS for row in sequence.load("a").rows(split)]
    assert sorted((row.input, row.target) for row in rows) == sorted(classes("a", "yx"))
    assert len({row.row_id for row in rows}) == len(rows) == 60
    assert rows[0].row_id == "a/train/000000"
    assert {row.task for row in rows} == {"a"}


@pytest.mark.parametrize("split", SPLITS)
def test_earlier_rows_are_seen_and_linked_not_copied(sequence: Sequence, split: str) -> None:
    data = sequence.load("c")
    for name in ("a", "b"):
        assert data.seen_rows(name, split) == sequence.load(name).rows(split)
        own = sequence.data(name) / f"{split}.parquet"
        assert own.samefile(sequence.data("c") / "seen" / name / f"{split}.parquet")
    assert data.seen_rows("c", split) == data.rows(split)


def test_seen_holds_tables_alone(sequence: Sequence) -> None:
    tables = {f"{split}.parquet" for split in SPLITS}
    expected = {"lineage.json", "manifest.json", *tables}
    expected |= {f"seen/{name}/{table}" for name in "ab" for table in tables}
    assert set(files_of(sequence.data("c"))) == expected
    assert not (sequence.data("a") / "seen").exists()


def test_unseen_tasks_are_refused(sequence: Sequence) -> None:
    with pytest.raises(ArtifactError, match=naming(sequence.data("b"), "c", "a, b")):
        sequence.load("b").seen_rows("c", "test")


def test_tables_open_in_datasets_and_pandas(sequence: Sequence, tmp_path: Path) -> None:
    import pandas
    from datasets import load_dataset

    path = str(sequence.data("a") / "test.parquet")
    data = load_dataset("parquet", data_files=path, split="train", cache_dir=str(tmp_path / "hf"))
    assert data.column_names == ["row_id", "task", "input", "target", "label_idx_cil"]
    assert len(pandas.read_parquet(path)) == len(data) == 12


class TestBroken:
    def test_a_changed_table_names_its_stage(self, sequence: Sequence) -> None:
        path = sequence.data("b") / "test.parquet"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ArtifactError, match=naming(path, "dvc repro prepare@b")):
            sequence.load("b")
        with pytest.raises(ArtifactError, match=naming(path, "dvc repro prepare@b")):
            sequence.prepare("c", "b")

    def test_unchecked_it_opens_and_fails_when_read(self, sequence: Sequence) -> None:
        path = sequence.data("b") / "test.parquet"
        path.unlink()
        data = TaskData.load(sequence.data("b"), check=False)
        assert len(data.rows("train")) == 21
        with pytest.raises(ArtifactError, match=naming(path, "dvc repro prepare@b")):
            data.rows("test")

    def test_a_missing_base(self, tmp_path: Path) -> None:
        made = Sequence(tmp_path)
        manifest = made.data("base") / "manifest.json"
        manifest.unlink()
        with pytest.raises(ArtifactError, match=naming(manifest, "dvc repro backbone")):
            made.prepare("a", "base")

    def test_a_lineage_that_is_none(self, sequence: Sequence) -> None:
        path = sequence.data("b") / "lineage.json"
        path.write_text('[{"name": "b"}]')
        with pytest.raises(ArtifactError, match=naming(path, "dvc repro prepare@b")):
            TaskData.load(sequence.data("b"), check=False)

    def test_another_tasks_folder_as_predecessor(self, sequence: Sequence) -> None:
        task = block("b", "raw/c.jsonl")
        out = sequence.data("x")
        with pytest.raises(ArtifactError, match=naming(sequence.data("a"), "b")):
            prepare_task("x", task, PREPARE, sequence.load("a"), Layout(sequence.root))
        assert not out.exists()

    def test_a_broken_source_names_the_task_and_leaves_nothing(self, sequence: Sequence) -> None:
        missing = sequence.root / "raw" / "x.jsonl"
        with pytest.raises(ConfigError, match=naming("tasks.x.source", missing)):
            sequence.prepare("x", "c")
        assert {path.name for path in (sequence.root / "data").iterdir()} == {"base", *"abc"}


def test_forgotten_rows_do_not_come_back_where_held_out_rows_stay(
    sequence: Sequence, tmp_path: Path
) -> None:
    folder, held_out = sequence.data("a"), sequence.load("a").rows("test")
    forget_rows(sequence.load("a"), "a", ("train",), "2026-01-01", {})
    write_record(Layout(tmp_path).forgotten("a"), sequence.load("a"), [], None, {})
    shutil.rmtree(folder)
    sequence.prepare("a", "base")
    data = sequence.load("a")
    assert data.rows_left("a", "train") == [] and set(data.forgotten("a")) == {"train"}
    assert data.rows("test") == held_out
    other, layout = PrepareParams(split_seed=1), Layout(tmp_path)
    with pytest.raises(ConfigError, match=naming(layout.forgotten("a"), "dev", "test")):
        prepare_task("a", block("base", "raw/a.jsonl"), other, sequence.load("base"), layout)
    assert sequence.load("a").rows("test") == held_out


def test_empty_tables_can_be_read_and_linked(sequence: Sequence) -> None:
    """As `lamol forget` leaves them."""
    from lamol_core.artifacts.manifest import Provenance, seal_folder
    from lamol_core.artifacts.spec import DATA
    from lamol_core.artifacts.tables import write_rows

    folder = sequence.data("a")
    (folder / "train.parquet").unlink()
    write_rows(folder / "train.parquet", [], DATA.schema)
    seal_folder(folder, "data", {"train": 0}, Provenance())
    sequence.prepare("b", "a")
    assert sequence.load("b").seen_rows("a", "train") == []
