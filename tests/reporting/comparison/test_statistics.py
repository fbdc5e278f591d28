"""Means, spreads and intervals: over seeds, over orders, over pairs of runs."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from lamol_core.reporting.comparison import statistics
from lamol_core.reporting.comparison.finished_runs import FinishedRun
from lamol_core.reporting.comparison.statistics import (
    Difference,
    Estimate,
    bootstrap_interval,
    paired,
)
from tests.reporting.comparison.finished import compare_runs, many, run


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


def test_the_interval_covers_the_truth_about_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 1000)
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


def test_nano_models_are_no_seeds_more() -> None:
    runs = [
        run(method, 0, score + nano, **{"backbone.nano.seed": nano})
        for method, score in (("lamol", 70.0), ("lamol_kd", 80.0))
        for nano in range(3)
    ]
    (of_final,) = [d for d in compare_runs(runs).differences if d.figure == "final_average"]
    assert (of_final.pairs.num, of_final.pairs.by_seed) == (3, (10.0,))


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
