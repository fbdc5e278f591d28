"""How well the audit's verdict on a row agrees with a rule, and with labels set by hand.

    python -m benchmarks.bench_quality [--steps 30 60 120 250] [--folder benchmarks/.quality]
    python -m benchmarks.bench_quality --by-hand BACKBONE

By rule: a nano model learns templated sentences (benchmarks/templated.py) for so many steps a task
and writes pseudo-samples of them; the stages run as in any sequence. By hand: the rows of
tests/audit/hand_labels.csv, which SmolLM2-135M wrote after so many steps of CLINC150's tasks;
BACKBONE is the folder runs/base/student of any sequence with that model. A row is labelled right if
it can be read as a whole request to which a reader would give this label of its task.

Balanced agreement is the mean of two shares: of the right rows, those that the audit does not call
wrong, and of the wrong rows, those that it does. Intervals: 95 %, 2,000 bootstraps of the rows.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import ROOT, child_environment, say
from benchmarks.templated import TASKS, is_right, write_tasks

HAND_LABELS = ROOT / "tests" / "audit" / "hand_labels.csv"
EXAMPLES = ("clinc150", "clinc150_15_tasks")
BOOTSTRAPS = 2000


def make_sequence(folder: Path, steps: int) -> None:
    """Run the stages of a sequence of templated tasks up to the audit for the last one."""
    from ruamel.yaml import YAML

    rows = write_tasks(folder.parent / "rows")
    named = [f"--task={task}={path}" for task, path in rows.items()]
    _run(folder.parent, sys.executable, "-m", "stages.cli", "init", str(folder), *named)
    yaml, path = YAML(), folder / "params.yaml"
    params = yaml.load(path.read_text(encoding="utf-8"))
    params["train"]["steps"], params["generate"]["gamma"] = steps, 2.5
    with path.open("w", encoding="utf-8") as out:
        yaml.dump(params, out)
    _run(folder, sys.executable, "-m", "dvc", "repro", "--quiet", f"audit@{[*TASKS][-1]}")


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, env=child_environment(), check=True, stdout=sys.stderr)


def by_rule(folder: Path) -> list[tuple[bool, bool]]:
    """Audit the tables of a sequence anew. Returns for each row whether the rule, and whether the
    audit, takes it for right."""
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.spec import AUDIT_STAGE
    from lamol_core.artifacts.store import Inputs
    from lamol_core.audit.loading import read_audited
    from lamol_core.text.params import TextParams

    said: list[tuple[bool, bool]] = []
    for before, task in pairwise(TASKS):
        audited = read_audited(Inputs(AUDIT_STAGE, task, before, Layout(folder)), 0, TextParams())
        said += _agreement(audited, lambda row: is_right(row.source_task, row.input, row.target))
    return said


def by_hand(backbone: Path) -> dict[str, list[tuple[bool, bool]]]:
    """Audit the rows labelled by hand as one table. Returns the same by the number of steps."""
    from lamol_core.audit.spec import Audited, SampledTask, Teacher
    from lamol_core.generation.judging import Judge
    from lamol_core.models.discriminant import NO_CLASSES
    from lamol_core.models.features import FrozenFeatures
    from lamol_core.records import Example, PseudoSample, TaskFacts

    with HAND_LABELS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    samples = [
        PseudoSample(str(i), r["task"], i, 1, r["input"], r["target"], [], [], True, "", 1.0, 0, "")
        for i, r in enumerate(rows)
    ]
    tasks = []
    for name in dict.fromkeys(row["task"] for row in rows):
        real = _real_rows(name)
        train, test = (
            [Example(f"{name}/{i}", name, *row, 0) for i, row in enumerate(real[split])]
            for split in ("train", "test")
        )
        labels = tuple(sorted({row.target for row in train}))
        facts = TaskFacts(name, "accuracy", "classes", labels, {})
        drawn = [sample for sample in samples if sample.source_task == name]
        tasks.append(SampledTask(facts, 0, drawn, train, test))
    origin: Any = None  # the check reads it as little as the teacher
    audited = Audited(tasks, origin, 0, Teacher(lambda ids: ""), lambda: judge)
    judge = Judge(FrozenFeatures(backbone), NO_CLASSES)
    said = _agreement(audited, lambda row: rows[row.gen_index]["right"] == "1")
    order = [row.gen_index for task in tasks for row in task.kept]
    by_steps: dict[str, list[tuple[bool, bool]]] = {}
    for index, pair in sorted(zip(order, said, strict=True)):
        by_steps.setdefault(f"{rows[index]['steps']} steps", []).append(pair)
    return by_steps


def _agreement(audited: Any, rule: Any) -> list[tuple[bool, bool]]:
    from lamol_core.audit.checks.correctness import Correctness
    from lamol_core.config.section import Section

    found = Correctness().run(audited, Section())
    wrong = {flag.row_id for flag in found.flags}
    for task, figures in found.by_task.items():
        shown = ("false_alarm_share", *sorted(name for name in figures if "planted" in name))
        say(f"  {task}: " + ", ".join(f"{name} {figures[name]:.2f}" for name in shown))
    return [
        (bool(rule(row)), row.row_id not in wrong) for task in audited.tasks for row in task.kept
    ]


def _real_rows(task: str) -> dict[str, list[tuple[str, str]]]:
    """The training and test rows of a task of the examples."""
    from lamol_core.data.prepare import read_task_rows
    from lamol_core.parameters import load_params

    for example in EXAMPLES:
        path = ROOT / "examples" / example / "params.yaml"
        params = load_params(path)
        if task in params.tasks:
            read = read_task_rows(task, params.task(task), params.prepare, path.parent)
            return {
                split: [(r.input, r.target) for r in rows] for split, rows in read.by_split.items()
            }
    raise KeyError(task)


def summary(said: Sequence[tuple[bool, bool]]) -> str:
    """Balanced agreement with its interval, and the two shares that it is the mean of."""
    pairs, rng = np.array(said), np.random.default_rng(0)
    kept, found = _shares(pairs)
    if not pairs[:, 0].any():
        return f"{len(pairs)} rows, none right; {found:.1%} found"
    drawn = [_shares(pairs[rng.integers(len(pairs), size=len(pairs))]) for _ in range(BOOTSTRAPS)]
    low, high = np.nanquantile([np.mean(shares) for shares in drawn], [0.025, 0.975])
    return (
        f"{len(pairs)} rows, {pairs[:, 0].sum()} right; of these {kept:.1%} passed, of the others "
        f"{found:.1%} found: balanced {np.mean([kept, found]):.1%} ({low:.1%} to {high:.1%})"
    )


def _shares(pairs: np.ndarray) -> tuple[float, float]:
    right, passed = pairs.T
    kept = passed[right].mean() if right.any() else np.nan
    return kept, (~passed[~right]).mean() if (~right).any() else np.nan


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--steps", type=int, nargs="+", default=[30, 60, 120, 250])
    options.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / ".quality")
    options.add_argument("--by-hand", type=Path, metavar="BACKBONE")
    given = options.parse_args(arguments)
    found: dict[str, list[tuple[bool, bool]]] = by_hand(given.by_hand) if given.by_hand else {}
    for steps in [] if given.by_hand else given.steps:
        folder = given.folder / f"steps_{steps}"
        if not (folder / "runs" / "last" / "pseudo.parquet").is_file():
            say(f"{steps} steps a task: {folder}")
            make_sequence(folder, steps)
        found[f"{steps} steps"] = by_rule(folder)
    for name, said in found.items():
        say(f"{name}: {summary(said)}")
    say(f"all: {summary([pair for said in found.values() for pair in said])}")


if __name__ == "__main__":
    main()
