"""What holds for every metric, and which are taken where none is named."""

import inspect
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import lamol_core.metrics
from lamol_core.data.params import TaskParams
from lamol_core.metrics.registry import METRICS, default_metric, score_rows
from lamol_core.parameters import compose
from lamol_core.records import Targets
from tests.code_imports import PACKAGES, ROOT, imported_files
from tests.messages import names

FOLDER = Path(lamol_core.metrics.__file__).parent
TEXT = st.text(alphabet="aB ,:.é\t", max_size=20)
SOURCE = {"kind": "demo", "task": "home"}


@pytest.mark.parametrize("name", METRICS)
class TestEveryMetric:
    @given(left=TEXT, right=TEXT)
    def test_texts_agree_with_themselves_and_either_way(
        self, name: str, left: str, right: str
    ) -> None:
        score = METRICS[name].score
        assert score(left, left) == 1.0
        assert 0.0 <= score(left, right) <= 1.0
        assert score(left, right) == score(right, left)

    def test_it_is_complete(self, name: str) -> None:
        metric = type(METRICS[name])
        assert metric.name == name and "__doc__" in vars(metric) and metric.__doc__
        assert Path(inspect.getfile(metric)) == FOLDER / f"{name}.py"
        assert metric.default_for in (None, *get_args(Targets))

    def test_only_the_registry_knows_it(self, name: str) -> None:
        own = FOLDER / f"{name}.py"
        files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
        users = [path for path in files if own in imported_files(path)]
        assert users == [FOLDER / "registry.py"]

    def test_a_task_may_name_it(self, name: str) -> None:
        task = TaskParams.model_validate({"after": "base", "source": SOURCE, "metric": name})
        assert task.metric == name


@pytest.mark.parametrize("targets", get_args(Targets))
def test_one_metric_is_taken_where_none_is_named(targets: Targets) -> None:
    chosen = [metric.name for metric in METRICS.values() if metric.default_for == targets]
    assert chosen == [default_metric(targets)]


def test_an_unknown_metric_is_told_with_the_known_ones() -> None:
    block = {"after": "base", "source": SOURCE, "metric": "acuracy"}
    _, (problem,) = compose({"tasks": {"a": block}})
    assert problem.startswith("tasks.a.metric:") and names(problem, "auto", *METRICS)
    assert problem.count("accuracy") == 2, "in the list, and as a guess"
    with pytest.raises(ValidationError):
        TaskParams.model_validate({**block, "metric": "bleu"})


def test_rows_keep_their_order() -> None:
    assert score_rows("accuracy", ["a", "b", "c"], ["a", "x", "c"]) == [1.0, 0.0, 1.0]
    assert score_rows("accuracy", [], []) == []


def test_unequal_lengths_are_an_error() -> None:
    with pytest.raises(ValueError):
        score_rows("accuracy", ["a"], ["a", "b"])
