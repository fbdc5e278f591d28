"""Estimates the seconds and bytes that a sequence takes: its tokens times this machine's rates."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import PartialState

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance
from lamol_core.data.prepare import as_example, find_facts, read_task_rows
from lamol_core.data.tombstones import read_record
from lamol_core.errors import ConfigError
from lamol_core.machine import peak_memory_bytes
from lamol_core.models.backbones import make_checkpoint
from lamol_core.models.foreign import foreign
from lamol_core.models.precision import has_fast_bf16
from lamol_core.parameters import Params
from lamol_core.preflight.backbone import prepared_backbone
from lamol_core.preflight.block_rates import Workload, device_memory, reckon, weights_of
from lamol_core.preflight.footprint import other_settings, what_would_fit
from lamol_core.preflight.rates import Rates, measure_rates
from lamol_core.preflight.row_tokens import (
    EncodedTask,
    RowTokens,
    TaskTokens,
    encode_tasks,
    prompts_of,
)
from lamol_core.preflight.unloaded import UnloadedModel, find_unloaded
from lamol_core.preflight.work import TaskWork, count_epochs, plan_work
from lamol_core.records import Example, TaskFacts, row_id
from lamol_core.text.codecs import load_codec

# Start-up of a task's stages, in imports of torch: three load it; all else is as much as two more.
STARTS = 5
Read = tuple[dict[str, TaskFacts], dict[str, list[Example]]]
"""The facts of all tasks, and the training rows of those that have some."""


@dataclass(frozen=True)
class TaskEstimate(TaskWork):
    """A task's work, and its seconds by stage. `start_up_s` is the time that all its processes
    take to start."""

    generate_s: float
    train_s: float
    evaluate_s: float
    start_up_s: float

    @property
    def total_s(self) -> float:
        return self.generate_s + self.train_s + self.evaluate_s + self.start_up_s

    def row(self) -> dict[str, str]:
        """Return the estimate as a row of a table, by column title."""
        return {
            "task": self.task,
            "rows": f"{self.new_rows} + {self.pseudo_rows}",
            "steps": str(self.steps),
            "generate": say_time(self.generate_s),
            "train": say_time(self.train_s),
            "evaluate": say_time(self.evaluate_s),
            "in all": say_time(self.total_s),
        }


@dataclass(frozen=True)
class Estimate:
    """What a whole sequence takes. `disk_bytes` are those of checkpoints and of what the method
    keeps. `notes` say which rows will be cut, and what does not fit. `memory`: the bytes of each
    part of a training, where they were reckoned; else the peak was measured."""

    tasks: tuple[TaskEstimate, ...]
    disk_bytes: int
    peak_memory_bytes: int
    notes: tuple[str, ...]
    num_weights: int = 0
    model: str = ""
    memory: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_s(self) -> float:
        return sum(task.total_s for task in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        tasks = [asdict(one) for one in self.tasks]
        sizes = {"disk_bytes": self.disk_bytes, "peak_memory_bytes": self.peak_memory_bytes}
        known = {"parameters": self.num_weights, "memory": dict(self.memory)}
        return {"seconds": self.total_s, **sizes, **known, "tasks": tasks}

    def memory_rows(self) -> list[dict[str, str]]:
        """Return the parts of a training's memory as rows of a table; [] where it was measured."""
        parts = [(part, size) for part, size in self.memory.items() if size]
        rows = [*parts, ("in all", sum(self.memory.values()))] if parts else []
        return [{"memory of a training": name, "GB": f"{size / 1e9:.2f}"} for name, size in rows]

    @property
    def sentence(self) -> str:
        how = "Measured just now"
        if self.memory:
            how = f"Reckoned from the configuration ({self.model}) and one block, timed just now"
        return (
            f"{self.num_weights:,} parameters; about {say_time(self.total_s)} for "
            f"{len(self.tasks)} tasks, "
            f"{self.disk_bytes / 1e9:.2f} GB of checkpoints and what is kept, "
            f"{self.peak_memory_bytes / 1e9:.1f} GB of memory. {how}; "
            "other work on this machine makes it longer."
        )


def estimate_sequence(params: Params, root: Path) -> Estimate:
    """Count the work of params.yaml in the folder `root`, and measure this machine's rates by
    trying some of it with the backbone. Where that is large or not complete, they are reckoned
    from its configuration and one of its blocks.

    Forgotten rows are not read: their task is assumed to have rows as long as the mean of the
    others. Raises ConfigError where no task has rows left."""
    imported_s = time.process_time()
    facts, rows = _read_rows(params, root)
    if (unloaded := find_unloaded(params, root)) is not None:
        return _reckon_sequence(params, root, unloaded, (facts, rows), imported_s)
    started = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", f"import {__name__}"], check=True)
    start_s = time.perf_counter() - started
    with the_backbone(params, root) as backbone:
        encoded, notes = encode_tasks(load_codec(backbone), rows, params, facts)
        prompts = prompts_of(params, facts)
        rates = measure_rates(backbone, params, rows[_longest(encoded)], prompts)
    work = _plan(params, facts, encoded)
    tasks = foresee(work, rates, params.chosen.cost_per_token, start_s)
    disk = rates.backbone_bytes + len(tasks) * rates.task_bytes
    return Estimate(tasks, disk, peak_memory_bytes(), tuple(notes), rates.num_weights)


def _reckon_sequence(
    params: Params, root: Path, unloaded: UnloadedModel, read: Read, start_s: float
) -> Estimate:
    (facts, rows), method = read, params.chosen
    encoded, notes = encode_tasks(unloaded.codec, rows, params, facts)
    work = _plan(params, facts, encoded)
    num_pseudo = sum(one.pseudo_rows for one in work)
    num_rows = num_pseudo + sum(one.new_rows for one in work)
    epochs = count_epochs(sum(one.steps for one in work), num_rows, params.train)
    longest = encoded[_longest(encoded)]
    workload = Workload(longest.rows, longest.tokens.real, num_pseudo / num_rows, epochs)
    with foreign(f"backbone.path: {params.backbone.path}: can't be reckoned with"):
        shapes, rates, footprint, of_trial = reckon(unloaded, params, workload)
    tasks = foresee(work, rates, method.cost_per_token, start_s)
    disk = rates.backbone_bytes + len(tasks) * rates.task_bytes
    notes = [*unloaded.notes, *notes, *of_trial]
    if method.keeps_real_rows:
        notes.append(f"the rows that {method.name} keeps are counted neither in time nor in size.")
    if (memory := device_memory()) is not None:
        adapted = weights_of(shapes, params, "lora")
        others = other_settings(footprint, has_fast_bf16(PartialState().device), adapted)
        notes += what_would_fit(footprint, others, memory)
    if disk > (free := shutil.disk_usage(root).free):
        notes.append(f"the disk has {free / 1e9:.1f} GB left, and {disk / 1e9:.1f} GB are needed.")
    return Estimate(
        tasks, disk, footprint.total, tuple(notes), rates.num_weights, shapes.name, footprint.parts
    )


def _read_rows(params: Params, root: Path) -> Read:
    facts, rows = {}, {}
    for name, task in params.tasks.items():
        if (record := read_record(Layout(root).forgotten(name))) is not None:
            facts[name] = record.facts
            continue
        read = read_task_rows(name, task, params.prepare, root).by_split
        facts[name] = find_facts(name, task, read)
        rows[name] = [
            as_example(row, row_id(name, "train", number), name)
            for number, row in enumerate(read["train"])
        ]
    if not rows:
        raise ConfigError("check: all rows were forgotten, so this machine can't be measured.")
    return facts, rows


def _longest(encoded: Mapping[str, EncodedTask]) -> str:
    """The task whose rows are longest in a training."""
    return max(encoded, key=lambda name: encoded[name].tokens.real.trained)


def _plan(
    params: Params, facts: Mapping[str, TaskFacts], encoded: Mapping[str, EncodedTask]
) -> list[TaskWork]:
    known = {name: task.tokens for name, task in encoded.items()}
    of_others = TaskTokens(
        RowTokens.mean([one.real for one in known.values()]),
        RowTokens.mean([one.pseudo for one in known.values()]),
    )
    return [*plan_work(params, facts, {name: known.get(name, of_others) for name in facts})]


def foresee(
    work: Iterable[TaskWork], rates: Rates, cost_per_token: float, start_s: float
) -> tuple[TaskEstimate, ...]:
    """Return the seconds of each task. `cost_per_token` is that of the method; `start_s` are the
    seconds of importing what trains."""
    return tuple(
        TaskEstimate(
            **asdict(one),
            generate_s=one.drawn_tokens * rates.drawn_s,
            train_s=one.trained_tokens * cost_per_token * rates.trained_s + rates.training_s,
            evaluate_s=one.answered_tokens * rates.answered_s,
            start_up_s=STARTS * start_s,
        )
        for one in work
    )


@contextmanager
def the_backbone(params: Params, root: Path) -> Iterator[Path]:
    """Yield the folder of the sequence's own backbone. Where it is not made yet, or was made
    with other parameters, yield a temporary one."""
    if student := prepared_backbone(params.backbone, root, params.text.format):
        yield student
        return
    with tempfile.TemporaryDirectory(prefix="lamol-") as folder:
        out = Path(folder) / "student"
        make_checkpoint(out, params.backbone, root, params.text.format, Provenance())
        yield out


def say_time(seconds: float) -> str:
    """Return seconds as text, like "45 s", "12 min" or "1 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
