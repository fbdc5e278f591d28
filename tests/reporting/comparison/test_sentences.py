"""Claims: each with its interval and its number of seeds, and none without."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from lamol_core.reporting.comparison.finished_runs import FinishedRun
from lamol_core.reporting.comparison.render import comparison_markdown
from lamol_core.reporting.comparison.sentences import (
    NO_CLAIM,
    NO_PAIRS,
    TOO_FEW,
    claims,
    sentences,
    unlike_pairs,
)
from lamol_core.reporting.comparison.statistics import t_interval
from tests.messages import mentions, names, names_in_order
from tests.reporting.comparison.finished import (
    compare_runs,
    label_runs,
    many,
    read_folders,
    run,
    write_run,
)


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
    assert claims(comparison) == [TOO_FEW] == sentences(comparison)[:1]


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


def test_a_single_method_is_compared_with_nothing() -> None:
    assert claims(compare_runs(many("ewc", [1.0, 2.0, 3.0]))) == []
