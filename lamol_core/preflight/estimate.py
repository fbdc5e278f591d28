"""Estimates the seconds and bytes that a sequence takes: its tokens times this machine's rates."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance
from lamol_core.config.task_names import BASE
from lamol_core.data.prepare import as_example, find_facts, read_task_rows
from lamol_core.data.sources.registry import read_texts
from lamol_core.data.tombstones import read_record
from lamol_core.errors import ConfigError
from lamol_core.machine import peak_memory_bytes
from lamol_core.models.backbones import build_backbone
from lamol_core.models.checkpoints import save_checkpoint
from lamol_core.parameters import Params
from lamol_core.preflight.backbone import is_made_of
from lamol_core.preflight.rates import Rates, measure_rates
from lamol_core.preflight.work import TaskWork, plan_work
from lamol_core.records import Example, row_id
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.codecs import load_codec
from lamol_core.text.template import NUM_CONTROL, TaskPrompts, cut_row
from lamol_core.text.tokenizer import TextCodec

# Start-up of a task's stages, in imports of torch: three stages load it; four light ones, DVC and
# the loading of checkpoints take about as long as two more (docs/performance.md).
STARTS = 5


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
    keeps. `notes` say which rows will be cut."""

    tasks: tuple[TaskEstimate, ...]
    disk_bytes: int
    peak_memory_bytes: int
    notes: tuple[str, ...]

    @property
    def total_s(self) -> float:
        return sum(task.total_s for task in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        tasks = [asdict(one) for one in self.tasks]
        sizes = {"disk_bytes": self.disk_bytes, "peak_memory_bytes": self.peak_memory_bytes}
        return {"seconds": self.total_s, **sizes, "tasks": tasks}

    @property
    def sentence(self) -> str:
        return (
            f"about {say_time(self.total_s)} for {len(self.tasks)} tasks, "
            f"{self.disk_bytes / 1e9:.2f} GB of checkpoints and what is kept, "
            f"{self.peak_memory_bytes / 1e9:.1f} GB of memory. Measured just now; "
            "other work on this machine makes it longer."
        )


def estimate_sequence(params: Params, root: Path) -> Estimate:
    """Count the work of params.yaml in the folder `root`, and measure this machine's rates by
    trying some of it with the backbone.

    Forgotten rows are not read: their task is assumed to have rows as long as the mean of the
    others. Raises ConfigError where no task has rows left."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", f"import {__name__}"], check=True)
    start_s = time.perf_counter() - started
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
    with the_backbone(params, root) as backbone:
        lengths, notes = measure_lengths(load_codec(backbone), rows, params)
        longest = max(lengths, key=lambda name: lengths[name])
        rates = measure_rates(backbone, params, rows[longest], lengths[longest])
    mean = fmean(lengths.values())
    work = plan_work(params, facts, {name: lengths.get(name, mean) for name in facts})
    tasks = foresee(work, rates, params.chosen.cost_per_token, start_s)
    disk = rates.backbone_bytes + len(tasks) * rates.task_bytes
    return Estimate(tasks, disk, peak_memory_bytes(), tuple(notes))


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


def measure_lengths(
    codec: TextCodec, rows: Mapping[str, Sequence[Example]], params: Params
) -> tuple[dict[str, float], list[str]]:
    """Return the mean tokens (input and target) of each task's rows, and a sentence for each
    task and limit that some of its rows exceed. Raises ConfigError for a target that does not
    fit `text.max_length`."""
    text, lengths, notes = params.text, {}, []
    template = codec.template(TaskPrompts(list(rows), text.use_task_specific_gen_token))
    for name, own in rows.items():
        inputs = codec.encode_inputs([row.input for row in own])
        pairs = list(zip(inputs, codec.encode_targets([row.target for row in own]), strict=True))
        around = [template.num_around(name, y) for _, y in pairs]
        turns = [codec.encode_history(row.history) for row in own]
        cut = [
            cut_row(template, name, (before, x, y), text.max_length, row.row_id)
            for row, before, (x, y) in zip(own, turns, pairs, strict=True)
        ]
        lengths[name] = fmean(
            len(x) + len(y) + sum(template.num_of_turn(*turn) for turn in before)
            for (before, x, _), (_, y) in zip(cut, pairs, strict=True)
        )
        lengths[name] += fmean(around) - NUM_CONTROL["gen"]  # which the plan adds
        if num := sum(was_cut for *_, was_cut in cut):
            notes.append(
                f"{name}: {num} of {len(own)} inputs are too long for text.max_length = "
                f"{text.max_length}: their beginnings will be cut off."
            )
        limits = text.max_input_tokens, text.max_target_tokens
        num = sum(len(x) > limits[0] or len(y) > limits[1] for x, y in pairs)
        if num and params.chosen.rehearses:
            notes.append(
                f"{name}: {num} of {len(own)} rows are longer than pseudo-samples can be "
                "(text.max_input_tokens, text.max_target_tokens)."
            )
    return lengths, notes


@contextmanager
def the_backbone(params: Params, root: Path) -> Iterator[Path]:
    """Yield the folder of the sequence's own backbone. Where it is not made yet, or was made
    with other parameters, yield a temporary one."""
    student = Layout(root).student(BASE)
    if is_made_of(student, params.backbone, params.text.format):
        yield student
        return
    with tempfile.TemporaryDirectory(prefix="lamol-") as folder:
        is_nano = params.backbone.kind == "nano"
        corpus = read_texts(params.backbone.nano.corpus, root) if is_nano else []
        text_format = params.text.format
        model, tokenizer = build_backbone(params.backbone, root, corpus, text_format)
        pieces = find_pieces(tokenizer) if text_format == "chat" else None
        out = Path(folder) / "student"
        save_checkpoint(out, model, Provenance(), tokenizer=tokenizer, pieces=pieces)
        yield Path(folder) / "student"


def say_time(seconds: float) -> str:
    """Return seconds as text, like "45 s", "12 min" or "1 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
