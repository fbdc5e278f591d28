"""Finished runs with figures of a test's choice, in memory and in folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lamol_core.parameters import completed, defaults
from lamol_core.reporting.comparison import finished_runs, labels, statistics
from lamol_core.reporting.comparison.finished_runs import FinishedRun, flatten
from lamol_core.reporting.comparison.labels import CommonName
from lamol_core.reporting.comparison.statistics import COLUMNS, Comparison

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
