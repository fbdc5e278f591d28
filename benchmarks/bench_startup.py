"""What the stages cost before they work: imports and loading, stage by stage and of the whole demo.

    python -m benchmarks.bench_startup [--rounds 3] [--no-demo]

Every stage runs on the demo's first two tasks with next to no work. `imports` is the sum of what
`python -X importtime` tells; `torch` says whether it was imported. Then `dvc repro` runs the demo
in a copy of the checkout: work is what `generate`, `train` and `evaluate` took beyond their trivial
runs, all else (imports, loading, DVC) is overhead. Ours is the overhead, theirs the total; `parts`
splits the overhead into imports, the rest of the stages' trivial runs, and DVC with what remains.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.harness import ROOT, Figure, child_environment, emit, parser, say
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import FIGURES

TRIVIAL: dict[str, tuple[str, ...]] = {
    "backbone": ("backbone.nano.layers=1", "backbone.nano.vocab_size=300"),
    "prepare": (),
    "snapshot": (),
    "generate": ("generate.gamma=0.01", "text.max_input_tokens=2", "text.max_target_tokens=2"),
    "mix": ("mix.gate=off",),
    "train": ("train.steps=1", "train.batch_size=1"),
    "evaluate": ("evaluate.max_target_tokens=1",),
    "report": (),
}  # fmt: skip
"""Overrides that leave a stage little to do."""
NUM_DEMO_TASKS = 5
WORKING = ("generate", "train", "evaluate")


@dataclass(frozen=True)
class StageStart:
    """Seconds of one stage with trivial work: as a whole, of imports, and as the stage tells."""

    wall_s: float
    imports_s: float
    told_s: float
    has_torch: bool


def import_seconds(report: str) -> tuple[float, bool]:
    """Sum of the self times that `-X importtime` wrote, in seconds, and whether torch was there."""
    microseconds, names = 0, set()
    for line in report.splitlines():
        if not line.startswith("import time:"):
            continue
        own, _, name = line.removeprefix("import time:").split("|", 2)
        if own.strip().isdigit():
            microseconds += int(own)
            names.add(name.strip())
    return microseconds / 1e6, "torch" in names


def start_of(folder: Path, stage: str, task: str) -> StageStart:
    """Run a stage twice, the second time with the import report, which costs time itself."""
    command = ["-m", "stages.cli", stage, *([] if stage in ("backbone", "report") else [task])]
    overrides = [f"--set={one}" for one in TRIVIAL[stage]]
    started = time.perf_counter()
    _python(folder, [*command, *overrides])
    wall = time.perf_counter() - started
    told = _told_seconds(folder, task, stage) if stage in FIGURES else 0.0
    imports, has_torch = import_seconds(_python(folder, ["-X", "importtime", *command, *overrides]))
    return StageStart(wall, imports, told, has_torch)


def _told_seconds(folder: Path, task: str, stage: str) -> float:
    """The seconds that a stage tells in its figures."""
    told = json.loads(Layout(folder).figure(task, stage).read_text(encoding="utf-8"))
    return float(told["seconds"])


def _python(folder: Path, arguments: Sequence[str]) -> str:
    """Run Python in the folder; gives its stderr."""
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=child_environment(), capture_output=True,
        text=True,
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {ended.stderr[-2000:]}")
    return ended.stderr


@contextmanager
def copied_checkout() -> Iterator[Path]:
    """The checkout's files (no results, no environment) in a temporary folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "demo"
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file() and not name.startswith("benchmarks/"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        yield folder


def measure_stages(rounds: int) -> dict[str, StageStart]:
    """Every stage's start, medians over the rounds, on the demo's second task.

    The first one, for which nothing is drawn and no teacher is needed, only prepares the ground.
    """
    rows: dict[str, list[StageStart]] = {stage: [] for stage in TRIVIAL}
    with copied_checkout() as folder:
        first, second = _tasks(folder)[:2]
        for stage in ("backbone", "prepare", "snapshot", "generate", "mix", "train"):
            start_of(folder, stage, first)
        for number in range(rounds):
            for stage in ("prepare", "snapshot", "generate", "mix", "train", "evaluate"):
                rows[stage].append(start_of(folder, stage, second))
            say(f"round {number + 1}/{rounds}: stages started")
        rows["backbone"].append(start_of(folder, "backbone", first))
    return {
        stage: StageStart(
            median(one.wall_s for one in runs),
            median(one.imports_s for one in runs),
            median(one.told_s for one in runs),
            any(one.has_torch for one in runs),
        )
        for stage, runs in rows.items()
        if runs
    }


def measure_demo(starts: dict[str, StageStart]) -> tuple[float, float, StageStart]:
    """Seconds of `dvc repro` on the demo, the overhead in them, and the start of `report`."""
    with copied_checkout() as folder:
        dvc = Path(sys.executable).parent / "dvc"
        environment = child_environment()
        environment["PATH"] = f"{dvc.parent}:{environment['PATH']}"
        environment["PYTHONPATH"] = str(folder)
        started = time.perf_counter()
        subprocess.run([dvc, "repro", "--quiet"], cwd=folder, env=environment, check=True)
        total = time.perf_counter() - started
        work = 0.0
        for task in _tasks(folder):
            for stage in WORKING:
                work += max(_told_seconds(folder, task, stage) - starts[stage].told_s, 0.0)
        return total, total - work, start_of(folder, "report", "")


def split_overhead(
    starts: dict[str, StageStart], num_tasks: int, overhead_s: float
) -> dict[str, float]:
    """Seconds of an overhead that imports, loading and DVC take, by the stages' trivial runs."""
    times = {stage: 1 if stage in ("backbone", "report") else num_tasks for stage in starts}
    # nothing is drawn for the first task
    times["generate"] = num_tasks - 1
    imports = sum(times[stage] * one.imports_s for stage, one in starts.items())
    walls = sum(times[stage] * one.wall_s for stage, one in starts.items())
    return {"imports_s": imports, "loading_s": walls - imports, "dvc_s": overhead_s - walls}


def _tasks(folder: Path) -> list[str]:
    from lamol_core.parameters import load_params

    return list(load_params(folder / "params.yaml").tasks)


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__, rows=0)
    made.add_argument("--no-demo", action="store_true", help="only the stages, not the demo")
    made.add_argument("--demo-rounds", type=int, default=1)
    options = made.parse_args(arguments)
    starts = measure_stages(options.rounds)
    _show(starts)
    details = {stage: vars(one) for stage, one in starts.items()}
    figures = [
        Figure(
            f"startup_{stage}",
            "s, imports against wall time of a trivial run",
            [one.imports_s],
            [one.wall_s],
            {"has_torch": one.has_torch},
        )
        for stage, one in starts.items()
    ]
    if not options.no_demo:
        runs = [measure_demo(starts) for _ in range(options.demo_rounds)]
        figures.append(
            Figure(
                "startup_share",
                "s, overhead against all of the demo, less is better",
                [overhead for _, overhead, _ in runs],
                [total for total, _, _ in runs],
                {
                    "stages": {**details, "report": vars(runs[0][2])},
                    "parts": split_overhead(
                        {**starts, "report": runs[0][2]}, NUM_DEMO_TASKS, runs[0][1]
                    ),
                },
            )
        )
    emit(figures)


def _show(starts: dict[str, StageStart]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "wall s", "imports s", "stage tells s", "torch")
    for stage, one in starts.items():
        table.add_row(stage, f"{one.wall_s:.2f}", f"{one.imports_s:.2f}", f"{one.told_s:.2f}",
                      "yes" if one.has_torch else "no")  # fmt: skip
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
