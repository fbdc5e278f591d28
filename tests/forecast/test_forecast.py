"""What a sequence will take: the work counted, and the seconds made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lamol_core.config import Params
from lamol_core.forecast.estimate import estimate, say_time
from lamol_core.forecast.rates import Rates
from lamol_core.forecast.work import TaskRows, TaskWork, lineage_of, plan_work
from lamol_core.methods.registry import METHODS, build_method
from lamol_core.records import TaskFacts

RATES = Rates(
    trained_tokens_per_s=100.0,
    drawn_tokens_per_s=50.0,
    answered_tokens_per_s=200.0,
    fisher_row_s=0.5,
    checkpoint_bytes=1_000_000,
)


def plan(method: str, **blocks: Any) -> list[TaskWork]:
    """Three tasks of 100 rows of 8 + 2 tokens, two classes each; c follows a, as b does."""
    source = {"kind": "demo", "task": "home"}
    params = Params.model_validate(
        {
            "method": method,
            "tasks": {n: {"after": after, "source": source} for n, after in ORDER.items()},
            "train": {"epochs": 2, "batch_size": 16},
            **blocks,
        }
    )
    sizes = {"train": 100, "test": 10}
    facts = {name: TaskFacts(name, "accuracy", "classes", ("x", "y"), sizes) for name in ORDER}
    rows = {name: TaskRows(facts[name], 8.0, 2.0) for name in ORDER}
    return plan_work(params, build_method(params), rows, "test")


ORDER = {"a": "base", "b": "a", "c": "b"}


def test_lamol_kd_by_hand() -> None:
    first, second, third = plan("lamol_kd")
    # QA has 10 + 2 tokens, GEN 10 + 3; two epochs of 100 rows, in batches of 16
    assert (first.steps, first.trained_tokens, first.drawn_tokens) == (14, 2 * 100 * 25, 0)
    assert (second.pseudo_rows, third.pseudo_rows) == (20, 20)
    assert third.trained_tokens == 2 * 120 * 25
    assert third.taught_tokens == 20 * 25
    assert third.drawn_tokens == 20 * 13
    assert third.answered_tokens == 3 * 10 * 12


def test_options_of_pseudo_samples_count() -> None:
    more = {"lamol_kd": {"rows_per_class": 20}, "generate": {"draws_per_row": 3}}
    third = plan("lamol_kd", **more)[2]
    assert third.pseudo_rows == 2 * 2 * 20
    assert third.drawn_tokens == 3 * 80 * 13
    balanced = {"known_labels": True, "balance_labels": True, "max_attempts": 6}
    assert plan("lamol_kd", **{**more, "generate": balanced})[2].drawn_tokens == 6 * 80 * 13
    checked = plan("lamol_kd", **{**more, "generate": {"self_consistent": True}})[2]
    assert checked.answered_tokens == third.answered_tokens + 80 * 13


@pytest.mark.parametrize("method", METHODS)
def test_what_each_method_takes_beside_finetune(method: str) -> None:
    work, lower = plan(method)[2], plan("finetune")[2]
    assert work.trained_tokens >= lower.trained_tokens == 2 * 100 * 12
    more = {
        "multitask": {"new_rows": 300, "steps": 38, "trained_tokens": 2 * 300 * 12},
        "ewc": {"fisher_rows": 100},
        "replay": {"trained_tokens": 2 * 100 * 12 + 14 * 32 * 12},
        "l2kd": {"steps": 16 + 14, "taught_tokens": 100 * 25, "pseudo_rows": 20},
    }
    for name, value in more.get(method, {}).items():
        assert getattr(work, name) == value, name


def test_a_tree_counts_each_branch_from_the_base() -> None:
    source = {"kind": "demo", "task": "home"}
    order = {"a": "base", "b": "a", "c": "a"}
    tasks = {name: {"after": after, "source": source} for name, after in order.items()}
    params = Params.model_validate({"tasks": tasks})
    assert [lineage_of(params, name) for name in order] == [["a"], ["a", "b"], ["a", "c"]]


def test_seconds_are_work_over_rates() -> None:
    work = plan("ewc")
    foreseen = estimate(work, RATES, start_up_s=2.0, peak_memory_bytes=7)
    (first, *_), one = foreseen.tasks, work[0]
    assert first.train_s == one.trained_tokens / 100 + one.fisher_rows * 0.5
    assert first.evaluate_s == one.answered_tokens / 200
    assert foreseen.disk_bytes == 4_000_000, "three students and the backbone"
    assert foreseen.total_s == pytest.approx(sum(task.total_s for task in foreseen.tasks))
    faster = estimate(work, replace(RATES, trained_tokens_per_s=200.0), 2.0, 7)
    assert faster.total_s < foreseen.total_s
    assert foreseen.as_dict()["tasks"][2]["task"] == "c"


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.4, "4 s"), (89, "89 s"), (600, "10 min"), (3900, "1 h 05 min")]
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert say_time(seconds) == said
