"""Well-made peers: TRL's off-policy distillation, and `generate()` of transformers at its best.

TRL: GKDTrainer with lmbda 0 (no sampling in training) and beta 0 (forward KL, teacher to student)
on both views of each pseudo row: supervised tokens as labels, dynamic padding, batches of like
length, no gradient checkpointing, torch's fused AdamW. bf16 means bf16 weights without masters:
less exact than ours, and less work. Timed from the first step to the end.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from benchmarks import published
from benchmarks.harness import rates_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from benchmarks.workspace import Workspace
    from lamol_core.text.encoded import EncodedRow

Precision = Literal["bf16", "fp32"]
PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")
TRAIN_BATCH_SIZES = (8, 16, 32, 64)
GENERATE_BATCH_SIZES = (8, 32, 128, 256)
ATTENTIONS = ("sdpa", "eager")


@dataclass(frozen=True)
class Choice:
    """How a peer is run."""

    batch_size: int
    precision: Precision
    attention: str = "sdpa"

    @property
    def dtype(self) -> torch.dtype:
        import torch

        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def __str__(self) -> str:
        return f"batch {self.batch_size}, {self.precision}, {self.attention}"


def best_choice(
    name: str,
    rate_of: Callable[[Choice], float],
    sizes: Sequence[int],
    num_rows: int,
    precisions: Sequence[Precision],
) -> Choice:
    """The best batch size that the rows can fill, in the first precision; then the best precision
    and attention for it."""
    fitting = [size for size in sizes if size <= num_rows] or [min(sizes)]
    rates = rates_of(name, rate_of, [Choice(size, precisions[0]) for size in fitting])
    size = max(rates, key=rates.__getitem__).batch_size
    others = [Choice(size, one, attention) for one in precisions for attention in ATTENTIONS]
    rates |= rates_of(name, rate_of, [one for one in others if one not in rates])
    return max(rates, key=rates.__getitem__)


class GeneratePeer:
    """`generate()`; a model for each precision and attention, loaded when first needed.

    `precisions` are those that the search for its best tries.
    """

    def __init__(self, workspace: Workspace, precisions: Sequence[Precision]) -> None:
        self._workspace, self._precisions = workspace, precisions
        self._models: dict[tuple[str, str], PreTrainedModel] = {}
        params = workspace.params
        self._sample_tokens = params.text.max_sample_tokens
        self._answer_tokens = params.evaluate.max_target_tokens
        self._topk = params.generate.topk

    def sample(self, num_rows: int, choice: Choice) -> float:
        """Samples a second, valid or not: top-k, each row stops at EOS, as many tokens as ours."""
        control = self._workspace.codec.control
        model = self._model(choice)
        started = time.perf_counter()
        published.sample(
            model,
            control,
            control.gen_for(0, True),
            num_rows,
            batch_size=choice.batch_size,
            topk=self._topk,
            max_new_tokens=self._sample_tokens,
        )
        return num_rows / (time.perf_counter() - started)

    def answer(self, prompts: Sequence[Sequence[int]], choice: Choice) -> float:
        """Greedy answers a second, prompts sorted by length and padded on the left."""
        model = self._model(choice)
        started = time.perf_counter()
        published.answer(
            model,
            self._workspace.codec.control,
            prompts,
            batch_size=choice.batch_size,
            max_new_tokens=self._answer_tokens,
            by_length=True,
        )
        return len(prompts) / (time.perf_counter() - started)

    def best_for_sampling(self, num_rows: int) -> Choice:
        self.sample(8, Choice(8, self._precisions[0]))
        return best_choice(
            "generate(), sampling",
            lambda choice: self.sample(num_rows, choice),
            GENERATE_BATCH_SIZES,
            num_rows,
            self._precisions,
        )

    def best_for_answers(self, prompts: Sequence[Sequence[int]]) -> Choice:
        self.answer(prompts[:8], Choice(8, self._precisions[0]))
        return best_choice(
            "generate(), greedy",
            lambda choice: self.answer(prompts, choice),
            GENERATE_BATCH_SIZES,
            len(prompts),
            self._precisions,
        )

    def _model(self, choice: Choice) -> PreTrainedModel:
        key = (choice.precision, choice.attention)
        if key not in self._models:
            self._models[key] = published.load(
                self._workspace.teacher, choice.dtype, choice.attention
            )
        return self._models[key]


def add_generate_options(made: argparse.ArgumentParser) -> None:
    """The batch size and the precisions of `generate()`."""
    told = "of generate(); default: the best is sought"
    made.add_argument("--batch-size", type=int, help=told)
    made.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS, help=told)


class TrlPeer:
    """GKDTrainer on pseudo rows; every call starts from the checkpoint."""

    def __init__(self, workspace: Workspace, rows: Sequence[EncodedRow]) -> None:
        self._workspace, self._num_rows = workspace, len(rows)
        self._sequences = [
            {
                "input_ids": list(sequence.ids),
                "attention_mask": [1] * len(sequence.ids),
                "labels": list(sequence.labels),
            }
            for row in rows
            for sequence in row.views(("qa", "gen"))
        ]

    def train(self, choice: Choice) -> float:
        """Pseudo rows (both views of each) a second, one epoch, from the first step to the end."""
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
        from transformers import PrinterCallback, TrainerCallback
        from trl.experimental.gkd import GKDTrainer

        class Clock(TrainerCallback):
            started = ended = 0.0

            def on_train_begin(self, *_: Any, **__: Any) -> None:
                self.started = time.perf_counter()

            def on_step_end(self, *_: Any, **__: Any) -> None:
                self.ended = time.perf_counter()

        clock = Clock()
        with tempfile.TemporaryDirectory() as scratch:
            trainer = GKDTrainer(
                model=self._load(choice),
                teacher_model=self._load(choice),
                args=self._arguments(scratch, choice),
                train_dataset=self._dataset(),
                data_collator=self._collator(),
                processing_class=self._tokenizer(),
                callbacks=[clock],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return self._num_rows / (clock.ended - clock.started)

    def best(self, precision: Precision) -> Choice:
        """Of TRL in this precision, which is to be ours."""
        return best_choice("trl", self.train, TRAIN_BATCH_SIZES, len(self._sequences), [precision])

    def _arguments(self, scratch: str, choice: Choice) -> Any:
        from trl.experimental.gkd import GKDConfig

        params = self._workspace.params.train
        return GKDConfig(
            output_dir=scratch,
            lmbda=0.0,
            beta=0.0,
            per_device_train_batch_size=choice.batch_size,
            num_train_epochs=1,
            learning_rate=params.learning_rate,
            weight_decay=params.weight_decay,
            max_grad_norm=params.max_grad_norm,
            train_sampling_strategy="group_by_length",
            max_length=self._workspace.params.text.max_length,
            activation_checkpointing=False,
            bf16=False,  # the weights are in bf16 where that is asked for: no autocast on top
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )

    def _load(self, choice: Choice) -> PreTrainedModel:
        return published.load(self._workspace.teacher, choice.dtype, choice.attention)

    def _dataset(self) -> Any:
        from datasets import Dataset

        return Dataset.from_list(self._sequences)

    def _collator(self) -> Any:
        from transformers import DataCollatorForSeq2Seq

        return DataCollatorForSeq2Seq(self._tokenizer(), padding=True)

    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self._workspace.teacher, local_files_only=True)
