"""Groups: a method and the settings in which runs differ, by short names."""

from __future__ import annotations

from typing import Any

import pytest

from lamol_core.errors import ConfigError, UsageError
from lamol_core.reporting.comparison.finished_runs import FinishedRun
from lamol_core.reporting.comparison.labels import CommonName
from tests.messages import naming
from tests.reporting.comparison.finished import label_runs, many, run


def labels_of(runs: list[FinishedRun], *names: str) -> dict[str, int]:
    labelled = label_runs(runs, [CommonName.parse(name) for name in names])
    return {label: len(members) for label, members in labelled.items()}


def test_groups_are_methods_and_the_settings_that_differ() -> None:
    runs = [
        *many("lamol_kd", [80.0, 81.0]),
        run("lamol_kd", 0, 70.0, **{"generate.gamma": 0.5, "generate.unique": True}),
        run("lamol", 0, 60.0, **{"generate.gamma": 0.9}),
    ]
    assert labels_of(runs) == {
        "lamol_kd": 2,
        "lamol_kd (gamma=0.5, unique)": 1,
        "lamol (gamma=0.9)": 1,
    }


def test_a_setting_that_all_methods_share_is_named_for_each() -> None:
    long = {"train.epochs": 9, "generate.unique": True}
    runs = [*many("lamol", [80.0] * 3, **long), *many("ewc", [70.0], **long), run("ewc", 1, 6.0)]
    assert labels_of(runs) == {"lamol (epochs=9)": 3, "ewc (epochs=9)": 1, "ewc": 1}
    alike = [*many("lamol", [80.0], **long), *many("ewc", [70.0], **long)]
    assert labels_of(alike) == {"lamol": 1, "ewc": 1}


def test_what_several_methods_draw_rows_by_is_compared_across_them() -> None:
    runs = [run("lamol_kd", 0, 80.0, **{"generate.gamma": 1.0}), run("lamol", 0, 70.0)]
    assert labels_of(runs) == {"lamol_kd (gamma=1.0)": 1, "lamol": 1}


def test_the_order_of_drawing_is_no_setting_of_a_method_that_draws_nothing() -> None:
    by_label = {"text.gen_order": "target_first"}
    runs = [
        *(run("lamol_kd", 0, 80.0, **one) for one in ({}, by_label)),
        *(run("finetune", 0, 40.0, **one) for one in ({}, by_label)),
    ]
    assert labels_of(runs) == {
        "lamol_kd": 1,
        'lamol_kd (gen_order="target_first")': 1,
        "finetune": 2,
    }


def test_benchmarks_are_told_apart_by_their_tasks_in_a_word() -> None:
    def on(method: str, *names: str, **more: Any) -> FinishedRun:
        blocks = {f"tasks.{n}.source.path": n for n in names} | {
            f"tasks.{n}.metric": "auto" for n in names
        }
        return run(method, 0, 80.0, names, **{**blocks, **more})

    few = {"tasks.a.source.limit_train": 9}
    runs = [on("ewc", "a", "b"), on("ewc", *"abcdef"), on("ewc", "a", "b", **few)]
    assert labels_of(runs) == {
        "ewc (on a, b)": 1,
        "ewc (on a, b, c, ... (6 tasks))": 1,
        "ewc (on a, b, tasks.a.source.limit_train=9)": 1,
    }
    assert labels_of([on("ewc", "a", "b"), on("lamol", "a", "b", **few)]) == {
        "ewc": 1,
        "lamol (tasks.a.source.limit_train=9)": 1,
    }


def test_keys_that_end_alike_stay_whole() -> None:
    sizes = {"train.batch_size": 8, "evaluate.batch_size": 9}
    assert labels_of([run("lamol", 0, 1.0, **sizes), run("lamol", 0, 1.0)]) == {
        "lamol (evaluate.batch_size=9, train.batch_size=8)": 1,
        "lamol": 1,
    }


def test_settings_made_together_have_one_name() -> None:
    better = {"generate.unique": True, "generate.rows_per_class": 5}
    runs = [
        run("lamol_kd", 0, 80.0),
        run("lamol_kd", 0, 81.0, **better),
        run("lamol_kd", 0, 82.0, **better, **{"generate.carry_over": True}),
        run("lamol_kd", 0, 83.0, **{"generate.unique": True}),
    ]
    wanted = {
        "lamol_kd": 1,
        "lamol_kd (better)": 1,
        "lamol_kd (better, carry_over)": 1,
        "lamol_kd (unique)": 1,
    }
    assert labels_of(runs, "better=unique,rows_per_class=5") == wanted
    assert labels_of(runs, "better=generate.unique=true,generate.rows_per_class=5") == wanted
    with pytest.raises(ConfigError, match=naming("--call", "x", "refill=false")):
        labels_of(runs, "x=refill=false")
    for wrong in ("better", "better=", "=unique", "better=unique,,rows_per_class=5"):
        with pytest.raises(UsageError, match=naming("--call", wrong)):
            labels_of(runs, wrong)
    assert labels_of(runs, "better= unique, rows_per_class=5") == wanted
    with pytest.raises(ConfigError, match=naming("--call", "carry_over")):
        labels_of(runs, "carry_over=unique")
    with pytest.raises(ConfigError, match=naming("--call", "r")):
        labels_of(runs, "r=unique", "r=carry_over")


def test_what_an_audit_only_tells_is_no_other_setting() -> None:
    plain = [run("lamol", seed, 80.0, **{"audit.min_rows": 30 + seed}) for seed in range(2)]
    dropped = [run("lamol", 0, 80.0, **{"mix.drop_flagged": True})]
    assert labels_of([*plain, *dropped]) == {"lamol": 2, "lamol (drop_flagged)": 1}
    asked = {"audit.ask_teacher": True}
    assert labels_of([*plain, run("lamol", 2, 80.0, **asked)]) == {"lamol": 3}
    carried = {"generate.carry_over": True}
    both = [run("lamol", 0, 80.0, **carried), run("lamol", 1, 80.0, **carried, **asked)]
    assert labels_of(both) == {"lamol": 1, "lamol (ask_teacher)": 1}
    other = [run("ewc", 0, 80.0, **{"mix.drop_flagged": True}), run("ewc", 1, 80.0)]
    assert labels_of(other) == {"ewc": 2}, "it has no pseudo-samples"


def test_sentences_planted_in_the_rows_are_another_setting_of_every_method() -> None:
    runs = [*many("ewc", [80.0, 81.0]), run("ewc", 0, 70.0, **{"prepare.canaries": 50})]
    assert labels_of(runs) == {"ewc": 2, "ewc (canaries=50)": 1}
