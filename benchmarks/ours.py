"""Our side: what the pipeline's stages call, with the loading of models and tokenizers not counted.

The stages' own functions are called, so what is measured is what `lamol generate`, `train` and
`evaluate` do. The peers load their models outside of what is timed too.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from benchmarks.workspace import Workspace
    from lamol_core.evaluation.params import EvaluateParams
    from lamol_core.generation.params import GenerateParams
    from lamol_core.records import MixRow, PseudoSample
    from lamol_core.text.encoded import EncodedRow
    from lamol_core.training.encoding import TrainingSet
    from lamol_core.training.params import TrainParams


class WorkTimer:
    """Seconds since it was started, without those spent in `from_pretrained`."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._loading = 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started - self._loading

    def add_loading(self, seconds: float) -> None:
        self._loading += seconds


@contextmanager
def work_timer() -> Iterator[WorkTimer]:
    """A timer of all that is done inside but the loading of models and tokenizers."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def timed(loader: Any) -> Any:
        load = loader.from_pretrained

        def from_pretrained(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return load(*arguments, **options)
            finally:
                timer.add_loading(time.perf_counter() - started)

        return mock.patch.object(loader, "from_pretrained", from_pretrained)

    with timed(AutoModelForCausalLM), timed(AutoTokenizer):
        timer = WorkTimer()
        yield timer


def draw(workspace: Workspace, num_rows: int, params: GenerateParams, seed: int) -> float:
    """Valid pseudo-samples a second of `draw_from_checkpoint`."""
    from lamol_core.generation.drawing import draw_from_checkpoint

    earlier, new = workspace.lineage
    with work_timer() as timer:
        samples = draw_from_checkpoint(
            workspace.teacher, "benchmark", {earlier: num_rows}, params,
            workspace.params.text,
            new_task=new, seed=seed,
        )  # fmt: skip
        seconds = timer.seconds
    return sum(sample.valid for sample in samples) / seconds


def evaluate(workspace: Workspace, num_rows: int, params: EvaluateParams) -> tuple[float, float]:
    """Answered test rows a second of `predict_from_checkpoint`, and their accuracy in percent."""
    from lamol_core.evaluation.scoring import predict_from_checkpoint
    from lamol_core.records import TaskFacts

    rows = workspace.test[:num_rows]
    by_task = {name: [row for row in rows if row.task == name] for name in workspace.lineage}
    facts = {name: TaskFacts(name, "accuracy", "classes", (), {}) for name in by_task}
    with work_timer() as timer:
        scored = predict_from_checkpoint(
            workspace.teacher, by_task, facts, params,
            workspace.params.text.max_length,
        )  # fmt: skip
        seconds = timer.seconds
    # the teacher has learnt the first task alone
    scores = [p.score for p in scored.predictions if p.task == workspace.lineage[0]]
    return len(rows) / seconds, 100 * sum(scores) / max(len(scores), 1)


@dataclass
class TrainRun:
    """What one call of `train_from_checkpoint` took; `step_ends_s` are times since its start."""

    seconds: float = 0.0
    num_rows: int = 0
    tokens: list[int] = field(default_factory=list)
    step_ends_s: list[float] = field(default_factory=list)

    @property
    def rows_per_s(self) -> float:
        return self.num_rows / self.seconds


def train(
    workspace: Workspace,
    mix: Sequence[MixRow],
    params: TrainParams,
    *,
    pseudo: Sequence[PseudoSample] | None = None,
    checkpoint: Path | None = None,
) -> TrainRun:
    """Train a student on a mix with lamol_kd, the teacher's pass included; nothing is written."""
    from lamol_core.training.student import Checkpoints, train_from_checkpoint

    run = TrainRun(num_rows=len(mix) * (params.epochs if params.steps is None else 1))
    with tempfile.TemporaryDirectory(dir=workspace.folder) as states, work_timer() as timer:

        def on_step(row: dict[str, Any], num_steps: int) -> None:
            run.step_ends_s.append(timer.seconds)
            run.tokens.append(row["tokens"])

        train_from_checkpoint(
            Checkpoints(checkpoint or workspace.teacher, Path(states) / "states"),
            training_set(workspace, mix, pseudo), workspace.params.chosen, params, seed=0,
            on_step=on_step,
        )  # fmt: skip
        run.seconds = timer.seconds
    return run


def encode(
    workspace: Workspace, mix: Sequence[MixRow], pseudo: Sequence[PseudoSample] | None = None
) -> list[EncodedRow]:
    """The rows of a mix as token ids, the form in which the other sides get them."""
    rows, _ = training_set(workspace, mix, pseudo).encode(workspace.codec)
    return rows


def training_set(
    workspace: Workspace, mix: Sequence[MixRow], pseudo: Sequence[PseudoSample] | None = None
) -> TrainingSet:
    """A mix with its rows: pseudo ones are the workspace's, or those given."""
    from lamol_core.text.template import TaskPrompts
    from lamol_core.training.encoding import TrainingSet

    drawn = workspace.pseudo if pseudo is None else pseudo
    prompts, max_length = TaskPrompts(workspace.lineage), workspace.params.text.max_length
    return TrainingSet(mix, workspace.real, drawn, prompts, max_length)


def mix_of_pseudo(pseudo: Sequence[PseudoSample]) -> list[MixRow]:
    """A mix of pseudo rows alone: every row is distilled."""
    from lamol_core.records import PSEUDO_LABEL, MixRow

    return [
        MixRow(order, "pseudo", row.source_task, row.row_id, PSEUDO_LABEL)
        for order, row in enumerate(pseudo)
    ]
