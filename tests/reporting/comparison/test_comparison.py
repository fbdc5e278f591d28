"""Comparing: groups, pairs, intervals, and no claim without one."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lamol_core.data.orders import order_tree
from lamol_core.errors import ArtifactError, ConfigError, UsageError
from lamol_core.parameters import completed, defaults
from lamol_core.reporting.comparison import finished_runs, labels, statistics
from lamol_core.reporting.comparison.finished_runs import FinishedRun, flatten
from lamol_core.reporting.comparison.labels import CommonName
from lamol_core.reporting.comparison.render import (
    comparison_chart,
    comparison_json,
    comparison_markdown,
    comparison_tables,
    difference_table,
    write_comparison,
)
from lamol_core.reporting.comparison.sentences import (
    NO_CLAIM,
    NO_PAIRS,
    claims,
    sentences,
    unlike_pairs,
)
from lamol_core.reporting.comparison.statistics import (
    COLUMNS,
    Comparison,
    Difference,
    Estimate,
    bootstrap_interval,
    paired,
    t_interval,
)
from stages.console import print_table
from tests.messages import mentions, names, names_in_order, naming

DEFAULTS = flatten(defaults())


def compare_runs(runs: list[FinishedRun], **options: Any) -> Comparison:
    return statistics.compare_runs(runs, DEFAULTS, **options)


def label_runs(
    runs: list[FinishedRun], names: list[CommonName] | None = None
) -> dict[str, list[FinishedRun]]:
    return labels.label_runs(runs, DEFAULTS, names or [])


def read_folders(folders: list[Path], **options: Any) -> list[FinishedRun]:
    return finished_runs.read_folders(folders, completed, **options)


def summary_of(final: float, tasks: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    summary = {column.key: 1.0 for column in COLUMNS}
    return {
        **summary,
        "method": "x",
        "tasks": list(tasks),
        "score_matrix": [[final + 2], [final - 1, final + 1]],
        "final_average": final,
        "incremental_average": final + 1,
        "forgetting": 100 - final,
        "forward_transfer": None,
    }


def run(
    method: str, seed: int, final: float, tasks: tuple[str, ...] = ("a", "b"), **params: Any
) -> FinishedRun:
    values = {"method": method, "seed": seed, "generate.gamma": 0.2, **params}
    return FinishedRun(f"{method}{seed}", values, summary_of(final, tasks))


def many(method: str, scores: list[float], **params: Any) -> list[FinishedRun]:
    return [run(method, seed, score, **params) for seed, score in enumerate(scores)]


def test_the_interval_of_a_mean_covers_it_and_narrows_with_more_runs() -> None:
    values = [81.0, 84.0, 86.0, 80.0, 88.0, 83.0]
    seeds = [[value] for value in values]
    low, high = bootstrap_interval(seeds)
    assert min(values) < low < sum(values) / 6 < high < max(values)
    assert bootstrap_interval(seeds) == (low, high)
    narrow = bootstrap_interval(seeds * 8)
    assert narrow[1] - narrow[0] < 0.5 * (high - low)
    assert bootstrap_interval([[5.0], [5.0]]) == (5.0, 5.0)


def test_orders_of_a_seed_are_resampled_with_it() -> None:
    low, high = bootstrap_interval([[81.0, 81.0], [84.0, 84.0], [86.0, 86.0]])
    assert (low, high) == pytest.approx(bootstrap_interval([[81.0], [84.0], [86.0]]), abs=0.3)
    alone = bootstrap_interval([[81.0], [81.0], [84.0], [84.0], [86.0], [86.0]])
    assert alone[1] - alone[0] < 0.9 * (high - low), "runs would promise more"


def test_a_resampled_seed_weighs_as_much_as_the_runs_it_has() -> None:
    # half of the 6 seeds are ten zeros: that 0 or all 6 of those drawn are such happens once in 64
    # times each, less than the 2.5 % that are cut off, so the ends have 1 and 5 of them
    low, high = bootstrap_interval([[0.0] * 10, [6.0]] * 3)
    assert (low, high) == pytest.approx((6 / (5 * 10 + 1), 5 * 6 / (10 + 5)))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    chooser, hits, trials = random.Random(0), 0, 200
    for _ in range(trials):
        values = [[chooser.gauss(50, 3)] for _ in range(20)]
        low, high = bootstrap_interval(values)
        hits += low <= 50 <= high
    assert 0.88 <= hits / trials <= 0.98


@pytest.mark.parametrize("num_seeds", [3, 6])
def test_a_claim_is_false_as_seldom_as_it_says_though_orders_share_their_seed(
    num_seeds: int,
) -> None:
    chooser, false_claims, trials = random.Random(1), 0, 400
    for _ in range(trials):
        differences = [chooser.gauss(0, 3) for _ in range(num_seeds)]
        mine, theirs = (
            [
                run(method, seed, 80 + wins * difference + chooser.gauss(0, 0.3), tasks)
                for tasks in (("a", "b"), ("b", "a"))
                for seed, difference in enumerate(differences)
            ]
            for method, wins in (("lamol_kd", 1), ("lamol", 0))
        )
        pairs = paired("final_average", mine, theirs)
        assert pairs is not None and pairs.num == 2 * num_seeds == 2 * len(pairs.by_seed)
        false_claims += Difference("final_average", "lamol_kd", "lamol", pairs).is_significant
    assert 0.02 <= false_claims / trials <= 0.09


def test_one_run_has_no_spread() -> None:
    alone = Estimate.of([[80.0]])
    assert (alone.mean, alone.deviation, alone.low, alone.high) == (80.0, None, None, None)


def test_two_seeds_have_a_spread_and_no_interval() -> None:
    two = Estimate.of([[80.0, 82.0], [84.0]])
    assert (two.mean, two.deviation) == (82.0, 2.0) and two.low is None and two.high is None
    assert Estimate.of([[80.0], [82.0], [84.0]]).low == 80.0


def test_where_seeds_are_few_orders_are_resampled() -> None:
    orders = (("a", "b", "c"), ("b", "c", "a"), ("c", "a", "b"))
    scores = ((80.0, 81.0), (83.0, 84.0), (86.0, 90.0))
    runs = [
        run("lamol", seed, score, tasks)
        for tasks, both in zip(orders, scores, strict=True)
        for seed, score in enumerate(both)
    ]
    (group,) = compare_runs(runs).groups
    estimate = group.figures["final_average"]
    assert estimate is not None
    assert (estimate.low, estimate.high) == bootstrap_interval(scores) == (80.5, 88.0)
    (two,) = compare_runs(runs[:4]).groups
    assert two.figures["final_average"] is not None and two.figures["final_average"].low is None


def test_the_same_run_again_is_no_evidence_more() -> None:
    twice = many("lamol", [80.0, 84.0])
    (once,), (thrice,) = compare_runs(twice).groups, compare_runs(twice * 3).groups
    assert once.figures == thrice.figures and once.num_runs == thrice.num_runs == 2


def test_runs_of_one_seed_and_order_that_differ_count_as_their_mean() -> None:
    (group,) = compare_runs([run("lamol", 0, 80.0), run("lamol", 0, 90.0)]).groups
    estimate = group.figures["final_average"]
    assert estimate is not None and estimate.values == (85.0,) and group.num_runs == 1


def test_a_figure_that_one_run_lacks_is_not_told_of_the_others() -> None:
    whole, lacking = many("lamol", [80.0, 84.0])
    lacking = replace(lacking, summary={**lacking.summary, "final_average": None})
    (group,) = compare_runs([whole, lacking]).groups
    assert group.figures["final_average"] is None
    assert group.figures["forgetting"] is not None


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


def test_nano_models_are_no_seeds_more() -> None:
    runs = [
        run(method, 0, score + nano, **{"backbone.nano.seed": nano})
        for method, score in (("lamol", 70.0), ("lamol_kd", 80.0))
        for nano in range(3)
    ]
    (of_final,) = [d for d in compare_runs(runs).differences if d.figure == "final_average"]
    assert (of_final.pairs.num, of_final.pairs.by_seed) == (3, (10.0,))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_names_and_figures_are_whole_in_the_terminal_s_table(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"generate.unique": True, "generate.known_labels": True, "generate.topk": 7}
    runs = [*many("lamol_kd", [80.0, 82, 83.5]), *many("lamol_kd", [88, 83, 85.0], **settings)]
    for one in runs:
        one.summary.update({"seconds": 36000.0 + one.params["seed"], "kept_bytes": 1_538_134_152})  # type: ignore[attr-defined]
    comparison = compare_runs(runs)
    assert [group.label for group in comparison.groups] == [
        "lamol_kd (known_labels, topk=7, unique)",
        "lamol_kd",
    ]
    monkeypatch.setenv("COLUMNS", str(width))
    scores, costs = comparison_tables(comparison)
    print_table(scores)
    shown = capsys.readouterr().out
    for word in ("lamol_kd", "(known_labels,", "topk=7,", "unique)", "[80.0, 83.5]"):
        assert word in shown, shown
    print_table(costs)
    shown = capsys.readouterr().out
    for word in (
        "lamol_kd",
        "(known_labels,",
        "topk=7,",
        "unique)",
        "backward",
        "36001",
        "± 1",
        "memory",
        "1538.13",
    ):
        assert word in shown, shown


def test_the_chart_draws_every_figure_of_the_table_and_a_long_name_whole() -> None:
    comparison = compare_runs(many("lamol_kd", [80.0, 83.5]))
    chart = comparison_chart(comparison).to_dict()
    titles = comparison_markdown(comparison).splitlines()[0].strip("| ").split(" | ")
    assert titles[:3] == ["method", "runs", "orders"]
    assert {point["figure"] for point in chart["data"]["values"]} == set(titles[3:])
    assert chart["spec"]["layer"][0]["encoding"]["y"]["axis"] == {"labelLimit": 420}


def test_a_clear_difference_over_enough_seeds_is_told() -> None:
    better = many("lamol_kd", [80.0, 82.0, 81.0])
    comparison = compare_runs([*better, *many("lamol", [70.0, 73.0, 71.0])])
    assert [group.label for group in comparison.groups] == ["lamol_kd", "lamol"]
    low, high = t_interval([10.0, 9.0, 10.0])
    *made, by_chance = claims(comparison)
    figures = ("final average", "incremental average", "forgetting")
    for claim, figure in zip(made, figures, strict=True):
        assert names_in_order(claim, "lamol_kd", "lamol", "9.7", f"{low:.1f}, {high:.1f}")
        assert names(claim, figure, 3)
    assert mentions(by_chance, 3) == 2 and names(by_chance, 0.2)
    assert sentences(comparison) == claims(comparison)
    assert 8.2 < low < 8.3 and 11.0 < high < 11.2, "2 degrees of freedom: 4.303 standard errors"


def test_the_one_with_less_forgetting_is_the_better_one_wherever_it_stands() -> None:
    def forgets(runs: list[FinishedRun], by: float) -> list[FinishedRun]:
        return [
            FinishedRun(r.name, r.params, {**r.summary, "forgetting": by + i**2})
            for i, r in enumerate(runs)
        ]

    first = forgets(many("lamol_kd", [80.0, 82.0, 81.0]), 30.0)
    comparison = compare_runs([*first, *forgets(many("lamol", [70.0, 73.0, 71.0])[::-1], 10.0)])
    (said,) = [one for one in claims(comparison) if names(one, "forgetting")]
    low, high = t_interval([24.0, 20.0, 16.0])
    assert names_in_order(said, "lamol", "lamol_kd", "20.0", f"{low:.1f}, {high:.1f}")
    assert names(said, 3)


def test_runs_that_are_the_same_run_are_told() -> None:
    """Where a setting had nothing to do: three seeds, of which one is evidence."""
    refill = {"generate.refill": False}
    with_it, without = many("lamol_kd", [80.0, 82, 81], **refill), many("lamol_kd", [80.0, 82, 84])
    comparison = compare_runs([*with_it, *without], against="lamol_kd (refill=false)")
    (one, *_) = comparison.differences
    assert (one.pairs.num, one.pairs.num_alike, one.pairs.num_higher) == (3, 2, 1)
    assert any(names(said, "lamol_kd (refill=false)", 2, 3) for said in sentences(comparison))
    (cell,) = re.findall(
        r"^\| lamol_kd \| 3 \| (3, [^|]+) \|", comparison_markdown(comparison), re.M
    )
    assert names(cell, 2)
    same = compare_runs([*with_it, *many("lamol_kd", [80.0, 82, 81])])
    assert all((one.pairs.num, one.pairs.num_alike) == (3, 3) for one in same.differences)
    assert any(names(said, "lamol_kd (refill=false)", "+0.0", 3) for said in sentences(same))


def test_pairs_of_different_versions_or_processors_are_told(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path / f"a{seed}", "lamol_kd", seed, 80.0 + seed)
        write_run(tmp_path / f"b{seed}", "finetune", seed, 20.0 + seed % 2)
    runs = read_folders([tmp_path])
    noted = [replace(run, commits="0123456") for run in runs]
    versions = compare_runs(
        [one if one.method == "lamol_kd" else run for run, one in zip(runs, noted, strict=True)]
    )
    (said,) = unlike_pairs(versions)
    assert mentions(said, 1) == 2 and said in sentences(versions)
    assert unlike_pairs(compare_runs(noted)) == []
    moved = [
        replace(run, summary={**run.summary, "machines": [{"processor": run.method}]})
        for run in noted
    ]
    assert unlike_pairs(compare_runs(moved)) == [said]


def test_seeds_that_differ_by_the_same_have_no_spread_to_judge_by() -> None:
    comparison = compare_runs([*many("lamol", [80.0] * 3), *many("ewc", [79.9] * 3)])
    assert claims(comparison) == [NO_CLAIM]
    assert names(sentences(comparison)[1], "final average", "lamol", "ewc", "+0.1", 3)


def test_against_one_method_each_other_is_held_once_and_turned_towards_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = [*many("lamol_kd", [80.0, 81.0, 82.0]), *many("lamol", [70.0, 72.0, 71.0])]
    runs += [*many("derpp", [90.0, 91.5]), *many("ewc", [60.0, 63.0, 66.0]), run("l2kd", 9, 1.0)]
    comparison = compare_runs(runs, against="lamol_kd")
    assert {(one.first, one.second) for one in comparison.differences} == {
        (method, "lamol_kd") for method in ("derpp", "lamol", "ewc")
    }, "l2kd has no seed in common"
    low, high = t_interval([-20.0, -18.0, -16.0])
    table = comparison_markdown(comparison).split("\n\n")[2].splitlines()
    assert names(table[0], "lamol_kd", "final average", "incremental average", "forgetting")
    assert table[1:] == [
        "|---|---:|---:|---:|---:|---:|",
        "| derpp | 2 | 2 | +10.2 | +10.2 | -10.2 |",
        "| lamol | 3 | 3 | -10.0 [-12.5, -7.5] | -10.0 [-12.5, -7.5] | +10.0 [7.5, 12.5] |",
        f"| ewc | 3 | 3 | -18.0 [{low:.1f}, {high:.1f}] | -18.0 [{low:.1f}, {high:.1f}] "
        f"| +18.0 [{-high:.1f}, {-low:.1f}] |",
    ]
    assert names_in_order(claims(comparison)[0], "final average", "lamol_kd", "lamol", "10.0")
    assert names(claims(comparison)[-1], 6)
    assert comparison_json(comparison)["baseline"] == "lamol_kd"
    print_table(difference_table(comparison))
    shown = capsys.readouterr().out
    assert names(shown, "lamol_kd", "[-12.5, -7.5]") and "l2kd" not in shown


def test_against_a_method_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=naming("--against", "lamol_kd", "ewc", "lamol")):
        compare_runs([*many("ewc", [80.0]), *many("lamol", [70.0])], against="lamol_kd")


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


def test_claims_come_first_and_too_few_seeds_are_one_sentence() -> None:
    runs = [*many("lamol_kd", [80.0, 81.0, 82.0]), *many("lamol", [70.0, 72.0, 71.0])]
    runs += [*many("ewc", [75.0, 60.0]), run("derpp", 0, 90.0)]
    comparison = compare_runs(runs)
    said = sentences(comparison)
    assert len(said) == 3 + 2 and said[:4] == claims(comparison)
    assert all(names_in_order(one, "lamol_kd", "lamol") for one in said[:3])
    assert mentions(said[3], 3) == 2, "tested, and found"
    pairs = {"derpp": 3, "ewc": 3, "lamol_kd": 2, "lamol": 2}
    assert {name: mentions(said[4], name) for name in pairs} == pairs and names(said[4], 3)


def test_two_seeds_claim_nothing_however_far_apart_and_in_many_orders() -> None:
    orders = [("a", "b"), ("b", "a")]
    runs = [
        one
        for tasks in orders
        for method, score in (("lamol_kd", 90.0), ("ewc", 10.0))
        for one in many(method, [score, score + 1], tasks=tasks)
    ]
    comparison = compare_runs(runs)
    assert all(one.pairs.num == 4 for one in comparison.differences)
    assert claims(comparison) == [NO_CLAIM] == sentences(comparison)[:1]


def test_an_interval_with_zero_in_it_claims_nothing() -> None:
    first = many("lamol_kd", [80.0, 70.0, 85.0, 72.0, 80.0, 74.0])
    comparison = compare_runs([*first, *many("lamol", [75.0, 76.0, 77.0, 78.0, 79.0, 76.0])])
    assert claims(comparison) == [NO_CLAIM]
    assert any(names_in_order(one, "lamol_kd", "lamol") for one in sentences(comparison)[1:])


def test_other_data_is_another_group_and_no_pair() -> None:
    few = {"tasks.a.source.limit_per_target": 10, "tasks.a.after": "base"}
    runs = [*many("lamol_kd", [80.0] * 6, **few), *many("lamol", [70.0] * 6)]
    assert compare_runs(runs).differences == ()
    assert sentences(compare_runs(runs)) == [NO_PAIRS]
    assert len(label_runs([*runs, *many("lamol_kd", [90.0])])) == 3


def test_a_folder_named_twice_counts_once(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "lamol_kd", 0, 80.0)
    write_run(tmp_path / ".dvc" / "tmp" / "exps" / "x", "lamol_kd", 1, 70.0)
    assert len(read_folders([tmp_path, tmp_path / "a"])) == 1


def test_pairs_have_seed_and_order_in_common() -> None:
    runs = [
        *many("lamol_kd", [80.0] * 5),
        *many("lamol", [70.0] * 5, tasks=("b", "a")),
        run("lamol", 0, 71.0),
    ]
    comparison = compare_runs(runs)
    assert all(difference.pairs.num == 1 for difference in comparison.differences)
    assert names(sentences(comparison)[-1], "lamol_kd", "lamol", 3)
    (mixed,) = [group for group in comparison.groups if group.label == "lamol"]
    assert mixed.num_orders == 2


def write_run(
    folder: Path,
    method: str,
    seed: int,
    final: float,
    tasks: Mapping[str, Any] | None = None,
    **blocks: Any,
) -> None:
    (folder / "reports").mkdir(parents=True)
    named = tasks or {
        name: {"after": after, "source": {"kind": "demo", "task": name}}
        for name, after in (("a", "base"), ("b", "a"))
    }
    params = {"method": method, "seed": seed, "lamol": {"gamma": 0.2}, "tasks": named}
    params |= blocks
    with (folder / "params.yaml").open("w") as out:
        YAML().dump(params, out)
    summary = {**summary_of(final), "method": method}
    content = json.dumps({**summary, "chains": [summary]})
    (folder / "reports" / "summary.json").write_text(content)


def test_folders_are_read_wherever_they_lie_and_written_as_three_files(tmp_path: Path) -> None:
    for seed in range(6):
        write_run(tmp_path / "runs" / f"a{seed}", "lamol_kd", seed, 80.0 + seed % 3)
        write_run(tmp_path / "runs" / f"b{seed}", "finetune", seed, 20.0 + seed)
    runs = read_folders([tmp_path / "runs"])
    assert len(runs) == 12 and {r.method for r in runs} == {"lamol_kd", "finetune"}
    comparison = compare_runs(runs)
    write_comparison(comparison, tmp_path / "out")
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert text == comparison_markdown(comparison)
    titles = {column.key: column.title for column in COLUMNS}
    assert titles["forward_transfer"] not in text, "what no run has measured is no column"
    assert "| lamol_kd | 6 | 1 | 81.0 ± 0.9 [" in text
    kept = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert kept == json.loads(json.dumps(comparison_json(comparison)))
    assert kept["groups"][0]["figures"]["final_average"]["values"] == [80.0, 81.0, 82.0] * 2
    assert any(one["told_apart"] for one in kept["differences"])
    svg = (tmp_path / "out" / "comparison.svg").read_text()
    assert "lamol_kd" in svg and titles["final_average"] in svg
    assert [table.row_count for table in comparison_tables(comparison)] == [2, 2]


def test_runs_pair_by_what_their_files_hold(tmp_path: Path) -> None:
    """Copies of a sequence, each with a file of its own."""

    def made(name: str, method: str, seed: int, rows: str) -> None:
        source = {"kind": "csv", "path": "rows.csv"}
        tasks = {"a": {"after": "base", "source": source}}
        tasks["b"] = {"after": "a", "source": {"kind": "csv", "path": "folder"}}
        words = {"kind": "csv", "path": str(tmp_path / name / "rows.csv")}
        backbone = {"kind": "nano", "nano": {"corpus": [words]}}
        write_run(tmp_path / name, method, seed, 80.0 + seed, tasks, backbone=backbone)
        (tmp_path / name / "rows.csv").write_text(rows)
        (tmp_path / name / "folder").mkdir()
        (tmp_path / name / "folder" / "train.csv").write_text("the same")
        (tmp_path / name / "folder" / f"notes {name}").write_text("no rows")

    for seed in range(3):
        made(f"a{seed}", "lamol_kd", seed, "input,target")
        made(f"b{seed}", "finetune", seed, "input,target")
    comparison = compare_runs(read_folders([tmp_path]))
    assert [group.label for group in comparison.groups] == ["lamol_kd", "finetune"]
    assert comparison.differences
    made("c", "lamol_kd", 0, "other rows")
    labels = [group.label for group in compare_runs(read_folders([tmp_path])).groups]
    assert len(labels) == 3 and any("rows.csv, sha256" in label for label in labels)


def test_a_tree_of_orders_is_a_run_for_each(tmp_path: Path) -> None:
    tasks = {name: {"source": {"kind": "demo", "task": name}} for name in ("a", "b")}
    tree = order_tree(tasks, [["a", "b"], ["b", "a"]])
    assert list(tree) == ["a", "b", "b-2", "a-2"]
    write_run(tmp_path / "tree", "lamol_kd", 0, 80.0, tree)
    path = tmp_path / "tree" / "reports" / "summary.json"
    orders = ((80.0, ("a", "b")), (70.0, ("b-2", "a-2")))
    chains = [{**summary_of(*order), "method": "lamol_kd"} for order in orders]
    path.write_text(json.dumps({**chains[-1], "chains": chains}))
    write_run(tmp_path / "plain", "lamol_kd", 1, 90.0, order_tree(tasks, [["a", "b"]]))
    write_run(tmp_path / "other", "lamol", 0, 75.0, order_tree(tasks, [["a", "b"]]))
    comparison = compare_runs(read_folders([tmp_path]))
    assert [(g.label, len(g.names), g.num_orders) for g in comparison.groups] == [
        ("lamol_kd", 3, 2),
        ("lamol", 1, 1),
    ]
    assert {one.pairs.num for one in comparison.differences} == {1}, "order a, b of seed 0"


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=naming(tmp_path, "reports/summary.json")):
        read_folders([tmp_path])
    write_run(tmp_path / "a", "lamol", 0, 1.0)
    (tmp_path / "a" / "params.yaml").unlink()
    with pytest.raises(ArtifactError, match=naming(tmp_path / "a" / "params.yaml")):
        read_folders([tmp_path])
    left_out: list[ArtifactError] = []
    write_run(tmp_path / "c", "lamol", 2, 1.0)
    (tmp_path / "c" / "params.yaml").write_bytes(b"method: \xff")
    with pytest.raises(ArtifactError, match=naming(tmp_path / "a" / "params.yaml")):
        read_folders([tmp_path], leave_out=left_out.append)  # none would be left
    assert left_out == []
    write_run(tmp_path / "b", "lamol", 1, 1.0)
    with pytest.raises(ArtifactError, match=naming(tmp_path / "a" / "params.yaml")):
        read_folders([tmp_path])
    (kept,) = read_folders([tmp_path], leave_out=left_out.append)
    assert kept.name == str(tmp_path / "b") and len(left_out) == 2
    for error, name in zip(left_out, "ac", strict=True):
        assert f"{name}/params.yaml" in str(error)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=naming("--out", tmp_path / "file")):
        write_comparison(compare_runs(many("lamol", [1.0])), tmp_path / "file")


def test_a_summary_of_another_method_or_task_is_no_run_of_these_parameters(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "lamol", 0, 1.0)
    for old, new, gone in (("method: lamol", "method: ewc", "lamol"), ("  b:", "  c:", "b")):
        path = tmp_path / "a" / "params.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(ArtifactError, match=naming(path.parent, gone, "params.yaml")):
            read_folders([tmp_path])
        path.write_text(text)


def test_one_file_is_the_same_data_however_its_path_is_written(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("input,target\n")
    for method, path in (("lamol", "../rows.csv"), ("ewc", str(tmp_path / "rows.csv"))):
        tasks = {
            name: {"after": after, "source": {"kind": "csv", "path": path}}
            for name, after in (("a", "base"), ("b", "a"))
        }
        write_run(tmp_path / method, method, 0, 80.0, tasks)
    comparison = compare_runs(read_folders([tmp_path]))
    assert [group.label for group in comparison.groups] == ["ewc", "lamol"]
    assert {one.pairs.num for one in comparison.differences} == {1}
    assert len(read_folders([tmp_path], without=[tmp_path / "ewc"])) == 1


def test_a_run_with_forgotten_rows_is_held_against_no_other() -> None:
    whole = many("lamol", [80.0] * 6)
    gaps = [
        FinishedRun(r.name, {**r.params, "method": "lamol_kd"}, {**r.summary, "not_scored": ["a"]})
        for r in many("lamol_kd", [90.0] * 6)
    ]
    comparison = compare_runs([*whole, *gaps])
    (label,) = {group.label for group in comparison.groups} - {"lamol"}
    assert re.match(r"lamol_kd \(.*\ba\b.*\)", label)
    assert comparison.differences == ()


def test_a_single_method_is_compared_with_nothing() -> None:
    assert claims(compare_runs(many("ewc", [1.0, 2.0, 3.0]))) == []


def test_a_folder_that_lamol_did_not_write_is_told(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "lamol", 0, 1.0)
    path = tmp_path / "a" / "params.yaml"
    for text, named in (("a: [", [path, "YAML"]), ("- 1", [path.parent, "reports/summary.json"])):
        path.write_text(text)
        with pytest.raises(ArtifactError, match=naming(*named)):
            read_folders([tmp_path])


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"name": "a"}', '{"name": "a", "commits": 1, "params": {}, "chains": []}']
)
def test_a_line_that_is_no_kept_run_is_named(tmp_path: Path, line: str) -> None:
    table = tmp_path / "kept.jsonl"
    whole = {"name": "a", "commits": [], "params": {}, "chains": []}
    table.write_text(f"{json.dumps(whole)}\n{line}\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=naming(table, 2)):
        read_folders([table])
    for content in (b"\xff\n", b""):
        table.write_bytes(content)
        with pytest.raises(ArtifactError, match=naming(table, 1)):
            read_folders([table])


def test_a_run_that_nothing_scores_comes_last() -> None:
    (unscored,) = many("ewc", [0.0])
    unscored = replace(unscored, summary={**unscored.summary, "final_average": None})
    comparison = compare_runs([unscored, *many("lamol", [10.0])])
    assert [group.label for group in comparison.groups] == ["lamol", "ewc"]
    assert re.search(r"^\| ewc \| 1 \| 1 \| [^|\d]+ \|", comparison_markdown(comparison), re.M)
