"""Comparing: groups, pairs, intervals, and no claim without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lamol_core.comparison.files import (
    comparison_markdown,
    comparison_table,
    told_apart,
    write_comparison,
)
from lamol_core.comparison.runs import FinishedRun, label_runs, read_folders
from lamol_core.comparison.statistics import (
    COLUMNS,
    Comparison,
    Estimate,
    bootstrap_interval,
    compare_runs,
)
from lamol_core.errors import ArtifactError, ConfigError


def summary_of(final: float, tasks: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    summary = {column.key: 1.0 for column in COLUMNS}
    return {
        **summary,
        "method": "x",
        "tasks": list(tasks),
        "final_average": final,
        "incremental_average": final + 1,
        "forgetting": 100 - final,
        "forward_transfer": None,
    }


def run(
    method: str, seed: int, final: float, tasks: tuple[str, ...] = ("a", "b"), **params: Any
) -> FinishedRun:
    values = {"method": method, "seed": seed, "lamol.gamma": 0.2, "lamol_kd.gamma": 0.2, **params}
    return FinishedRun(f"{method}{seed}", values, summary_of(final, tasks))


def many(method: str, scores: list[float], **params: Any) -> list[FinishedRun]:
    return [run(method, seed, score, **params) for seed, score in enumerate(scores)]


def sentence_of(comparison: Comparison, figure: str = "final_average") -> str:
    (found,) = [d.sentence for d in comparison.differences if d.figure == figure]
    return found


def test_the_interval_of_a_mean_covers_it_and_narrows_with_more_runs() -> None:
    values = [81.0, 84.0, 86.0, 80.0, 88.0, 83.0]
    low, high = bootstrap_interval(values)
    assert min(values) < low < sum(values) / 6 < high < max(values)
    assert bootstrap_interval(values) == (low, high)
    narrow = bootstrap_interval(values * 8)
    assert narrow[1] - narrow[0] < 0.5 * (high - low)
    assert bootstrap_interval([5.0, 5.0]) == (5.0, 5.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    import random

    chooser, hits, trials = random.Random(0), 0, 200
    for _ in range(trials):
        values = [chooser.gauss(50, 3) for _ in range(20)]
        low, high = bootstrap_interval(values)
        hits += low <= 50 <= high
    assert 0.88 <= hits / trials <= 0.98


def test_one_run_has_no_spread() -> None:
    alone = Estimate.of([80.0])
    assert (alone.mean, alone.deviation, alone.low, alone.high) == (80.0, None, None, None)


def test_groups_are_methods_and_the_settings_that_differ() -> None:
    runs = [
        *many("lamol_kd", [80.0, 81.0]),
        run("lamol_kd", 0, 70.0, **{"lamol_kd.gamma": 0.5}),
        run("lamol", 0, 60.0, **{"lamol_kd.gamma": 0.9}),
    ]
    assert {label: len(members) for label, members in label_runs(runs).items()} == {
        "lamol_kd": 2,
        "lamol_kd, lamol_kd.gamma=0.5": 1,
        "lamol": 1,
    }


def test_a_clear_difference_over_enough_pairs_is_told() -> None:
    better = many("lamol_kd", [80.0, 82.0, 81.0, 83.0, 82.5, 81.5])
    comparison = compare_runs([*better, *many("lamol", [70.0, 73.0, 71.0, 72.0, 74.0, 70.5])])
    assert [group.label for group in comparison.groups] == ["lamol_kd", "lamol"]
    assert "lamol_kd is better than lamol" in sentence_of(comparison)
    assert "6 pairs" in sentence_of(comparison)
    # forgetting: less is better
    assert "lamol_kd is better than lamol" in sentence_of(comparison, "forgetting")
    assert len(told_apart(comparison)) == 3


def test_what_an_audit_only_tells_is_no_other_setting() -> None:
    told = [run("lamol", seed, 80.0, **{"audit.min_rows": 30 + seed}) for seed in range(2)]
    dropped = [run("lamol", 0, 80.0, **{"audit.drop_flagged": True})]
    assert {k: len(v) for k, v in label_runs([*told, *dropped]).items()} == {
        "lamol, audit.drop_flagged=null": 2,
        "lamol, audit.drop_flagged=true": 1,
    }


def test_claims_come_first_and_single_pairs_are_one_sentence() -> None:
    runs = [*many("lamol_kd", [80.0, 81.0] * 3), *many("lamol", [70.0, 72.0] * 3)]
    runs += [*many("ewc", [75.0, 60.0, 78.0]), run("derpp", 0, 90.0)]
    said = compare_runs(runs).sentences
    assert "is better than" in said[0] and "too few pairs" in said[-2]
    assert said[-1] == (
        "One pair of runs each, from which nothing follows: "
        "derpp and lamol_kd; derpp and lamol; derpp and ewc."
    )
    assert len(said) == 3 * 3 + 1


def test_too_few_pairs_claim_nothing_however_far_apart() -> None:
    comparison = compare_runs([*many("lamol_kd", [90.0, 91.0, 92.0]), *many("ewc", [10.0] * 3)])
    assert "too few pairs for a claim" in sentence_of(comparison)
    assert told_apart(comparison) == [
        "compare: no two methods are told apart by these runs (comparison.md says why)."
    ]


def test_an_interval_with_zero_in_it_claims_nothing() -> None:
    first = many("lamol_kd", [80.0, 70.0, 85.0, 72.0, 80.0, 74.0])
    comparison = compare_runs([*first, *many("lamol", [75.0, 76.0, 77.0, 78.0, 79.0, 76.0])])
    assert "are not told apart" in sentence_of(comparison)


def test_other_data_is_another_group_and_no_pair() -> None:
    few = {"tasks.a.source.limit_per_target": 10, "tasks.a.after": "base"}
    runs = [*many("lamol_kd", [80.0] * 6, **few), *many("lamol", [70.0] * 6)]
    assert compare_runs(runs).differences == ()
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
    assert all(difference.num_pairs == 1 for difference in comparison.differences)
    assert "nothing follows" in sentence_of(comparison)
    (mixed,) = [group for group in comparison.groups if group.label == "lamol"]
    assert mixed.num_orders == 2


def write_run(folder: Path, method: str, seed: int, final: float) -> None:
    (folder / "reports").mkdir(parents=True)
    with (folder / "params.yaml").open("w") as out:
        YAML().dump({"method": method, "seed": seed, "lamol": {"gamma": 0.2}}, out)
    summary = summary_of(final)
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
    assert "forward transfer" not in text, "what no run has measured is no column"
    assert "| lamol_kd | 6 | 1 | 81.0 ± 0.9 [" in text
    kept = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert kept["groups"][0]["figures"]["final_average"]["values"] == [80.0, 81.0, 82.0] * 2
    assert any(one["told_apart"] for one in kept["differences"])
    svg = (tmp_path / "out" / "comparison.svg").read_text()
    assert "lamol_kd" in svg and "final average" in svg
    assert comparison_table(comparison).row_count == 2


def test_a_tree_of_orders_is_a_run_for_each(tmp_path: Path) -> None:
    write_run(tmp_path, "lamol_kd", 0, 80.0)
    path = tmp_path / "reports" / "summary.json"
    chains = [summary_of(80.0, ("a", "b")), summary_of(70.0, ("b", "a"))]
    path.write_text(json.dumps({**chains[-1], "chains": chains}))
    runs = read_folders([tmp_path])
    assert [r.summary["final_average"] for r in runs] == [80.0, 70.0]
    assert compare_runs(runs).groups[0].num_orders == 2


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no reports/summary.json below it"):
        read_folders([tmp_path])
    write_run(tmp_path / "a", "lamol", 0, 1.0)
    (tmp_path / "a" / "params.yaml").unlink()
    with pytest.raises(ArtifactError, match=r"params.yaml"):
        read_folders([tmp_path])


def test_a_run_with_forgotten_rows_is_held_against_no_other() -> None:
    whole = many("lamol", [80.0] * 6)
    gaps = [
        FinishedRun(r.name, {**r.params, "method": "lamol_kd"}, {**r.summary, "not_scored": ["a"]})
        for r in many("lamol_kd", [90.0] * 6)
    ]
    comparison = compare_runs([*whole, *gaps])
    assert "lamol_kd, without a (forgotten)" in {group.label for group in comparison.groups}
    assert not any(one.is_told_apart for one in comparison.differences)
