"""Time of one more task: is task 10 as quick as task 2? Ten equal tasks of CLINC150.

    python -m benchmarks.bench_tasks [--rows 80] [--tasks 10] [--rounds 2] [--backbone smollm2|nano]

All tasks have the same rows, under ten names: rows of other tasks are longer or shorter, which
would be measured too. A task is a domain's first two intents, --rows training rows in all, gamma
0.2, one epoch. Its time is what `lamol generate` and `lamol train` say in their figures, without
the imports, the median over the rounds. Ours is the slowest of the tasks 2..10, theirs the fastest:
a ratio of 1.15 is a spread of 15 %. `trend` is the mean of the last three tasks' times against that
of tasks 2 to 4.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.harness import Figure, emit, parser, say
from benchmarks.workspace import FOLDER, SHARED, open_workspace, run_stage
from lamol_core.artifacts.layout import Layout

INTENTS = 2
DOMAIN = "banking"
CLINC150 = SHARED / "data" / "clinc150"


def write_params(folder: Path, num_rows: int, num_tasks: int, backbone: str) -> list[str]:
    """params.yaml of the sequence; gives the tasks' names in order."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    params: dict[str, Any] = yaml.load((FOLDER / "params.yaml").read_text(encoding="utf-8"))
    names = [f"task{place:02d}" for place in range(1, num_tasks + 1)]
    params["tasks"] = {
        name: {"after": after, "source": _source(num_rows)}
        for name, after in zip(names, ["base", *names], strict=False)
    }
    params["train"]["epochs"] = 1
    params["mix"]["gate"] = "off"  # no audit runs
    if backbone == "nano":
        params["backbone"] = {
            "kind": "nano",
            "max_tasks": num_tasks,
            "nano": {"hidden_size": 192, "layers": 3, "heads": 4, "vocab_size": 1024,
                     "max_positions": 256, "corpus": [_source(num_rows)]},
        }  # fmt: skip
    with (folder / "params.yaml").open("w", encoding="utf-8") as out:
        yaml.dump(params, out)
    return names


def _source(num_rows: int) -> dict[str, Any]:
    return {
        "kind": "jsonl",
        "path": str(CLINC150),
        "where": {"domain": DOMAIN},
        "max_targets": INTENTS,
        "limit_per_target": num_rows // INTENTS,
    }


def run_sequence(num_rows: int, num_tasks: int, backbone: str) -> list[dict[str, float]]:
    """Seconds of `generate` and `train` of each task, in order."""
    folder = FOLDER / "tasks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = write_params(folder, num_rows, num_tasks, backbone)
    run_stage(folder, "backbone")
    seconds = []
    for name in names:
        for stage in ("prepare", "snapshot", "generate", "mix", "train"):
            run_stage(folder, stage, name)
        seconds.append({stage: _figure(folder, name, stage) for stage in ("generate", "train")})
        say(f"{name}: {seconds[-1]}")
    shutil.rmtree(folder)
    return seconds


def _figure(folder: Path, task: str, stage: str) -> float:
    told = json.loads(Layout(folder).figure(task, stage).read_text(encoding="utf-8"))
    return float(told["seconds"] - told["start_up_seconds"])


def measure(num_rows: int, num_tasks: int, rounds: int, backbone: str) -> Figure:
    open_workspace()
    runs = [run_sequence(num_rows, num_tasks, backbone) for _ in range(rounds)]
    totals = [[task["generate"] + task["train"] for task in run[1:]] for run in runs]
    times = [median(of_task) for of_task in zip(*totals, strict=True)]
    details = {"rows": num_rows, "tasks": num_tasks, "backbone": backbone, "rounds": rounds,
               "trend": fmean(times[-3:]) / fmean(times[:3]), "seconds": runs}  # fmt: skip
    unit = "s, slowest / fastest of tasks 2.., less is better"
    return Figure("tasks_flat", unit, [max(times)], [min(times)], details)


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__, rows=80, rounds=2)
    made.add_argument("--tasks", type=int, default=10)
    made.add_argument("--backbone", choices=("smollm2", "nano"), default="smollm2")
    options = made.parse_args(arguments)
    emit([measure(options.rows, options.tasks, options.rounds, options.backbone)])


if __name__ == "__main__":
    main()
