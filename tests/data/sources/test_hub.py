"""Data sets by the library of the hub."""

from pathlib import Path
from typing import Any

import pytest

from lamol_core.data.sources import hub
from lamol_core.data.sources.registry import read_source
from tests.data.sources.tables import PAIRS, make, pairs_of, problems, rows_of, write
from tests.messages import names


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

        monkeypatch.setattr(hub, "data_set_problem", lambda name: None)
        monkeypatch.setattr(datasets, "load_dataset", fail)
        (problem,) = problems(make(kind="hub", path="a/b"), Path())
        assert names(problem, "a/b", "train", "Parquet", told)

    def test_without_a_network_the_library_is_not_asked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import datasets

        monkeypatch.setattr(datasets, "load_dataset", None)
        (problem,) = problems(make(kind="hub", path="a/b"), Path())
        assert names(problem, "a/b", "path", "--local-dir")

    def test_what_is_asked_of_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import datasets

        calls = []

        def load(*args: Any, **options: Any) -> Any:
            calls.append((args, options))
            return datasets.Dataset.from_list(rows_of(*PAIRS)).to_iterable_dataset()

        monkeypatch.setattr(hub, "data_set_problem", lambda name: None)
        monkeypatch.setattr(datasets, "load_dataset", load)
        read_source(make(kind="hub", path="a/b", name="c", revision="r", dev="valid[:9]"), Path())
        same = {"revision": "r", "streaming": True}
        assert calls == [
            (("a/b", "c"), {"split": "train", **same}),
            (("a/b", "c"), {"split": "valid[:9]", **same}),
        ]
