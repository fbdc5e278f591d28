"""What the frozen backbone's features alone know: linear discriminant analysis, task by task.

    python -m benchmarks.frozen_features examples/clinc150 examples/clinc150_15_tasks \
        [--random 2000]

Each example is prepared by our own stages, so that its rows are those of every other result. Class
means and one shared covariance are learnt from each task's training rows, no row is kept, and after
each task the test rows of all tasks so far are classified. Tasks with free text are left out: no
class is to be told. `--random` adds random Fourier features, as KLDA does (Momeni et al. 2025,
"Continual Learning Using a Kernel-Based Method Over Foundation Models"): N cosines and N sines.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.harness import ROOT, child_environment, quiet_libraries, say
from lamol_core.artifacts.layout import Layout
from lamol_core.data.task_data import TaskData
from lamol_core.evaluation.matrix import ScoreMatrix
from lamol_core.models.discriminant import NO_CLASSES, Discriminant, LabelOf
from lamol_core.models.features import FrozenFeatures
from lamol_core.pipeline.init import create_sequence, read_example
from lamol_core.preflight.problems import check_sequence
from lamol_core.records import Example
from lamol_core.text.normalise import normalise

Mapped = Callable[[Tensor], Tensor]


def prepare(example: Path, folder: Path) -> list[TaskData]:
    """The data of an example's tasks with labels, in the order of learning."""
    params = read_example(example / "params.yaml")
    create_sequence(folder, params, check_sequence)
    targets = ["backbone", *(f"prepare@{task}" for task in params["tasks"])]
    subprocess.run(
        ["dvc", "repro", "-q", *targets], cwd=folder, env=child_environment(), check=True
    )
    tasks = [TaskData.load(Layout(folder).data(task)) for task in params["tasks"]]
    return [data for data in tasks if data.facts.learnt_classes]


def random_features(count: int, rows: Tensor) -> Mapped:
    """Random Fourier features of the RBF kernel, whose width is the median distance of `rows`,
    scaled by dimension: `count` cosines and as many sines."""
    if not count:
        return lambda features: features
    mean, scale = rows.mean(dim=0), rows.std(dim=0).clamp_min(1e-6)
    some = ((rows - mean) / scale)[:500]
    width = torch.pdist(some).median()
    directions = torch.randn(rows.shape[1], count, generator=torch.Generator().manual_seed(0))

    def mapped(features: Tensor) -> Tensor:
        angles = ((features - mean) / scale) @ directions / width
        return torch.cat([angles.cos(), angles.sin()], dim=1) / math.sqrt(count)

    return mapped


def score(learnt: Discriminant, features: Tensor, rows: Sequence[Example]) -> float:
    """The share of rows whose label is found among those of all tasks, in percent."""
    found = learnt.classify(features)
    right = sum(a.label == normalise(row.target) for a, row in zip(found, rows, strict=True))
    return 100 * right / len(rows)


def run(tasks: Sequence[TaskData], features: FrozenFeatures, num_random: int) -> ScoreMatrix:
    learnt, mapped = NO_CLASSES, None
    tests: list[tuple[Tensor, list[Example]]] = []
    matrix: list[tuple[float, ...]] = []
    for data in tasks:
        train, test = data.rows("train"), data.rows("test")
        own = features.of([row.input for row in train])
        mapped = mapped or random_features(num_random, own)
        labels = [LabelOf(row.task, normalise(row.target)) for row in train]
        learnt = learnt.with_rows(labels, mapped(own))
        tests.append((mapped(features.of([row.input for row in test])), test))
        matrix.append(tuple(score(learnt, *one) for one in tests))
        say(f"{data.name}: {sum(matrix[-1]) / len(matrix[-1]):.1f} % of {len(tests)} tasks")
    return ScoreMatrix(tuple(data.name for data in tasks), tuple(matrix))


def main() -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("examples", nargs="+", type=Path)
    made.add_argument("--random", type=int, default=0, metavar="N")
    options = made.parse_args()
    say("| example | features | final average, % | incremental average, % | seconds |")
    for example in options.examples:
        with tempfile.TemporaryDirectory(prefix="lamol-") as folder, quiet_libraries():
            tasks = prepare(ROOT / example, Path(folder) / "sequence")
            started = time.perf_counter()
            features = FrozenFeatures(Layout(Path(folder) / "sequence").student("base"))
            matrix = run(tasks, features, options.random)
            seconds = time.perf_counter() - started
        kind = f"{2 * options.random} random" if options.random else "as they are"
        figures = f"{matrix.final_average():.1f} | {matrix.incremental_average():.1f}"
        say(f"| `{example}` | {kind} | {figures} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
