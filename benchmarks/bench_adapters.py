"""Training an adapter: against whole weights of ours, and against TRL's SFTTrainer with peft.

    python -m benchmarks.bench_adapters [--rows 160] [--batch-size 16] [--rounds 3] [--folder DIR]

LoRA of rank 16 on all linear layers, on the first rows of a task (QA view), the same batches and
precision on every side. Each measurement is a process of its own: rows a second from the first
step's end to the last one's, and the peak resident memory, with imports and loading. `state` is
what weights, gradients and optimizer take. --folder: a sequence with a backbone and a prepared
task (default: that of the other benches). `--answers TASK --rows 1000` counts the answers that
differ between merged and unmerged weights of a student that is there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Round, compare, emit, quiet_libraries, run_child, take_turns
from benchmarks.workspace import open_workspace
from lamol_core.machine import peak_memory_bytes

if TYPE_CHECKING:
    from lamol_core.text.encoded import EncodedRow

RANK, ALPHA, RATE = 16, 32, 1e-3
Result = dict[str, float]


def ours(folder: Path, num_rows: int, batch_size: int, kind: str) -> Result:
    """`train_from_checkpoint` with the method `finetune`, one epoch."""
    from torch.nn import Module

    from lamol_core.config.section import Section
    from lamol_core.methods.finetune import Finetune
    from lamol_core.models.params import AdapterParams
    from lamol_core.records import MixRow
    from lamol_core.text.template import TaskPrompts
    from lamol_core.training.encoding import TrainingSet
    from lamol_core.training.optimizer import MasterAdamW
    from lamol_core.training.params import TrainParams
    from lamol_core.training.student import Checkpoints, train_from_checkpoint

    rows = rows_of(folder)[:num_rows]
    mix = [MixRow(i, "new", row.task, row.row_id, 0) for i, row in enumerate(rows)]
    params = TrainParams(epochs=1, batch_size=batch_size, compile="never")
    adapter = AdapterParams.model_validate({"kind": kind, "r": RANK, "alpha": ALPHA})
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as states:
        trained = train_from_checkpoint(
            Checkpoints(folder / "runs" / "base" / "student", Path(states) / "states"),
            TrainingSet(mix, rows, [], TaskPrompts([rows[0].task]), max_length=96),
            Finetune(Section()), params, 0,
            on_step=lambda row, num_steps: ends.append(time.perf_counter()), adapter=adapter,
        )  # fmt: skip
    model: Module = trained.model
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = MasterAdamW(learnt, 0.0)
    state = sum(p.nbytes for p in model.parameters()) + sum(p.nbytes for p in learnt)
    state += sum(tensor.nbytes for tensor in optimizer.state().values())
    peak = peak_memory_bytes()
    return {"rows_per_s": rate(ends, num_rows, batch_size), "peak": peak, "state": state}


def trl(folder: Path, num_rows: int, batch_size: int, attention: str) -> Result:
    """SFTTrainer with peft, padded rows sorted by length; weights in our precision."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, DataCollatorForSeq2Seq, TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from benchmarks import published
    from lamol_core.models.precision import resolve_precision

    student = folder / "runs" / "base" / "student"
    sequences = [
        {"input_ids": list(view.ids), "labels": list(view.labels)}
        for row in encoded(folder, num_rows)
        for view in row.views(("qa",))
    ]
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    tokenizer = AutoTokenizer.from_pretrained(student)
    with tempfile.TemporaryDirectory() as scratch:
        settings = SFTConfig(
            output_dir=scratch, per_device_train_batch_size=batch_size, num_train_epochs=1,
            learning_rate=RATE, use_cpu=True, bf16=False, gradient_checkpointing=False,
            train_sampling_strategy="group_by_length", save_strategy="no", logging_strategy="no",
            report_to="none", disable_tqdm=True, dataset_kwargs={"skip_prepare_dataset": True},
        )  # fmt: skip
        dtype = resolve_precision("auto", torch.device("cpu"))
        trainer = SFTTrainer(
            model=published.load(student, dtype, attention),
            args=settings,
            train_dataset=Dataset.from_list(sequences),
            data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
            processing_class=tokenizer,
            peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear"),
            callbacks=[Clock()],
        )
        trainer.train()
    return {"rows_per_s": rate(ends, num_rows, batch_size), "peak": peak_memory_bytes(), "state": 0}


def rate(ends: Sequence[float], num_rows: int, batch_size: int) -> float:
    return (num_rows - batch_size) / (ends[-1] - ends[0])


def rows_of(folder: Path) -> list[Any]:
    from lamol_core.data.task_data import TaskData

    (first, *_) = sorted(path for path in (folder / "data").iterdir() if path.name != "base")
    rows: list[Any] = TaskData.load(first).rows("train")
    return rows


def encoded(folder: Path, num_rows: int) -> list[EncodedRow]:
    from lamol_core.text.codecs import load_codec
    from lamol_core.text.template import TaskPrompts

    codec, rows = load_codec(folder / "runs" / "base" / "student"), rows_of(folder)[:num_rows]
    template = codec.template(TaskPrompts((rows[0].task,)))
    inputs = codec.encode_inputs([row.input for row in rows])
    targets = codec.encode_targets([row.target for row in rows])
    pairs = zip(rows, inputs, targets, strict=True)
    return [template.row(row.row_id, "new", row.task, x, y) for row, x, y in pairs]


def differing_answers(folder: Path, task: str, num_rows: int) -> dict[str, int]:
    """How many answers to dev and test rows differ between merged and unmerged weights."""
    import torch
    from transformers import AutoModelForCausalLM

    from lamol_core.data.task_data import TaskData
    from lamol_core.evaluation.params import EvaluateParams
    from lamol_core.evaluation.predict import predict
    from lamol_core.models.checkpoints import load_model
    from lamol_core.text.codecs import load_codec

    student = folder / "runs" / task / "student"
    data, codec = TaskData.load(folder / "data" / task), load_codec(student)
    texts = [row.input for split in ("dev", "test") for row in data.rows(split)][:num_rows]
    with chdir(folder):
        unmerged = AutoModelForCausalLM.from_pretrained(student.relative_to(folder)).eval()
    models = (load_model(student, torch.device("cpu")), unmerged)
    found = [predict(model, codec, texts, EvaluateParams(), 96).texts for model in models]
    return {
        "answers": len(texts),
        "differ": sum(one != other for one, other in zip(*found, strict=True)),
    }


SIDES: dict[str, Callable[[Path, int, int], Result]] = {
    "lora": partial(ours, kind="lora"),
    "whole": partial(ours, kind="none"),
    "trl_eager": partial(trl, attention="eager"),
    "trl_sdpa": partial(trl, attention="sdpa"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--rows", type=int, default=160)
    made.add_argument("--batch-size", type=int, default=16)
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--folder", type=Path)
    made.add_argument("--answers", metavar="TASK", help="compare merged and unmerged answers alone")
    made.add_argument("--side", choices=SIDES, help="measure one, in this process")
    options = made.parse_args(arguments)
    folder = options.folder or open_workspace().folder
    if options.side:
        with quiet_libraries():
            result = SIDES[options.side](folder, options.rows, options.batch_size)
        sys.stdout.write(json.dumps(result) + "\n")
        return
    if options.answers:
        with quiet_libraries():
            counted = differing_answers(folder.resolve(), options.answers, options.rows)
        sys.stdout.write(json.dumps(counted) + "\n")
        return
    given = ["--rows", str(options.rows), "--batch-size", str(options.batch_size)]
    measured: dict[str, list[Result]] = {name: [] for name in SIDES}

    def measure(side: str) -> float:
        where = ["--folder", str(folder.resolve())]
        result: Result = run_child("benchmarks.bench_adapters", "--side", side, *given, *where)
        measured[side].append(result)
        return result["rows_per_s"]

    take_turns({side: partial(measure, side) for side in SIDES}, options.rounds)
    figures = []
    for theirs in ("whole", "trl_eager", "trl_sdpa"):
        for unit in ("rows_per_s", "peak", *(["state"] if theirs == "whole" else [])):
            pairs = zip(measured["lora"], measured[theirs], strict=True)
            rounds: list[Round] = [{"ours": a[unit], "theirs": b[unit]} for a, b in pairs]
            figures.append(compare(f"adapter_{unit}_{theirs}", unit, rounds, "theirs"))
    emit(figures)


if __name__ == "__main__":
    main()
