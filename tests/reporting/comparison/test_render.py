"""A comparison as a table in the terminal, Markdown and a chart."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lamol_core.errors import ConfigError
from lamol_core.parameters import completed
from lamol_core.reporting.comparison.render import (
    comparison_chart,
    comparison_json,
    comparison_markdown,
    comparison_tables,
    difference_table,
    set_beside,
)
from lamol_core.reporting.comparison.sentences import claims
from lamol_core.reporting.comparison.statistics import t_interval
from stages.console import print_table
from tests.messages import names, names_in_order, naming
from tests.reporting.comparison.finished import (
    DEFAULTS,
    compare_runs,
    many,
    run,
    summary_of,
    write_run,
)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_names_and_figures_are_whole_in_the_terminal_s_table(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"generate.unique": True, "generate.carry_over": True, "generate.topk": 7}
    runs = [*many("lamol_kd", [80.0, 82, 83.5]), *many("lamol_kd", [88, 83, 85.0], **settings)]
    for one in runs:
        one.summary.update({"seconds": 36000.0 + one.params["seed"], "kept_bytes": 1_538_134_152})  # type: ignore[attr-defined]
    comparison = compare_runs(runs)
    assert [group.label for group in comparison.groups] == [
        "lamol_kd (carry_over, topk=7, unique)",
        "lamol_kd",
    ]
    monkeypatch.setenv("COLUMNS", str(width))
    scores, costs = comparison_tables(comparison)
    print_table(scores)
    shown = capsys.readouterr().out
    for word in ("lamol_kd", "(carry_over,", "topk=7,", "unique)", "[80.0, 83.5]"):
        assert word in shown, shown
    print_table(costs)
    shown = capsys.readouterr().out
    for word in (
        "lamol_kd",
        "(carry_over,",
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


def test_a_run_of_today_is_named_without_the_keys_of_earlier_versions(tmp_path: Path) -> None:
    write_run(tmp_path / "older", "lamol", 0, 80.0, generate={"known_labels": True})
    params = YAML(typ="safe").load((tmp_path / "older" / "params.yaml").read_text())
    summary = {"chains": [{**summary_of(70.0), "method": "lamol"}]}
    now = {**params, "generate": {}}
    section, _ = set_beside(now, summary, [tmp_path / "older"], completed, DEFAULTS)
    assert [row[0] for row in section["rows"]] == ["lamol (known_labels)", "lamol"]


def test_a_run_that_nothing_scores_comes_last() -> None:
    (unscored,) = many("ewc", [0.0])
    unscored = replace(unscored, summary={**unscored.summary, "final_average": None})
    comparison = compare_runs([unscored, *many("lamol", [10.0])])
    assert [group.label for group in comparison.groups] == ["lamol", "ewc"]
    assert re.search(r"^\| ewc \| 1 \| 1 \| [^|\d]+ \|", comparison_markdown(comparison), re.M)
