"""The training loop. Accelerate handles devices and processes."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from lamol_core.errors import ConfigError, DivergedError
from lamol_core.methods.memory import Memory
from lamol_core.methods.terms import Kind, Loss, ce
from lamol_core.seeds import derive_seed
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.batches import count_supervised, micro_batches, optimizer_batches
from lamol_core.training.hidden_states import Body
from lamol_core.training.interruption import Interruption
from lamol_core.training.objective import losses_of
from lamol_core.training.optimizer import MasterAdamW
from lamol_core.training.params import TrainParams
from lamol_core.training.resume import LogRow, Resume
from lamol_core.training.teacher.interface import Teacher
from lamol_core.training.teacher.memory import MemoryTeacher

TERMS = ("ce_qa", "ce_gen", "kl_qa", "kl_gen", "ce_qa_memory", "mse_qa_memory", "penalty")
"""Columns that the log of every method has, so that logs can be compared."""
log = logging.getLogger(__name__)
MEASURED_COLUMNS = ("seconds", "tokens_per_s")
"""Columns of the log that differ from run to run. They are not written to its file."""


def count_steps(num_rows: int, params: TrainParams) -> int:
    """The number of optimizer steps: `steps` if it is set, else as many as `epochs` need."""
    return params.steps or params.epochs * math.ceil(num_rows / params.batch_size)


def learning_rate_at(step: int, num_steps: int, params: TrainParams) -> float:
    """The learning rate of a step: a linear warm-up from 0, then a linear decay towards 0. The last
    step is always part of the decay."""
    warmup = min(round(params.warmup_fraction * num_steps), num_steps - 1)
    if step < warmup:
        return params.learning_rate * step / warmup
    return params.learning_rate * (num_steps - step) / max(num_steps - warmup, 1)


@dataclass(frozen=True)
class Trainer:
    """Trains one student on one mix. `teacher` is None where the loss does not distil."""

    accelerator: Accelerator
    student: Body
    teacher: Teacher | None
    loss: Loss
    params: TrainParams
    memory: Memory = field(default_factory=Memory)

    def train(
        self,
        rows: Sequence[EncodedRow],
        seed: int,
        on_step: Callable[[LogRow, int], None] = lambda row, num_steps: None,
        resume: Resume | None = None,
    ) -> list[LogRow]:
        """Train the model in place; returns the log, one row per step.

        With `resume`, steps saved before are loaded and not run again; their log rows are included.
        `on_step` is called with each log row and the number of steps. Raises DivergedError at the
        first loss or gradient that is not finite, ConfigError without rows."""
        if not rows:
            raise ConfigError(
                "mix.parquet: no rows. Look at the source of the task, then run its stages again."
            )
        torch.manual_seed(derive_seed(seed, "dropout") % 2**32)
        params, student, memory = self.params, self.student.model, self.memory
        model = self.accelerator.prepare(self.student).train()
        optimizer = MasterAdamW(model.parameters(), params.weight_decay)
        memory.begin(student)
        log_rows = [] if resume is None else resume.load(student, optimizer, memory)
        num_steps = count_steps(len(rows), params)
        for row in log_rows:
            on_step(row, num_steps)
        batches = enumerate(optimizer_batches(rows, params.batch_size, num_steps, seed))
        with Interruption() if resume is not None else nullcontext() as interruption:
            for step, batch in islice(batches, len(log_rows), None):
                log_rows.append(self._step(model, optimizer, batch, step, num_steps))
                on_step(log_rows[-1], num_steps)
                if resume is None or interruption is None:
                    continue
                stops = interruption.received is not None
                if stops or resume.is_due or (resume.keeps_end and step + 1 == num_steps):
                    resume.save(student, optimizer, memory, log_rows)
                if stops:
                    log.info("stopped after step %d: the next run goes on from there", step + 1)
                    interruption.end()
        del optimizer  # its moments take twice the model's memory, which `finish` may need
        self.student.eval()
        new = [row for row in rows if row.origin == "new"]
        memory.finish(student, new, self._likelihood_backward)
        return log_rows

    def _step(
        self, model: Any, optimizer: MasterAdamW, batch: list[EncodedRow], step: int, num_steps: int
    ) -> LogRow:
        """Do one optimizer step on a batch and the memory's rows; returns its log row."""
        started = time.perf_counter()
        with_memory = [*batch, *self.memory.rows(step)]
        terms, num_tokens = self._accumulate(model, optimizer, with_memory, step)
        norm = float(optimizer.gradient_norm())
        self._check_finite(norm, "gradient norm", batch, step)
        self.memory.observe([row for row in batch if row.origin == "new"], self._answer_logits)
        learning_rate = learning_rate_at(step, num_steps, self.params)
        optimizer.step(learning_rate, min(self.params.max_grad_norm / (norm + 1e-6), 1.0))
        seconds = time.perf_counter() - started
        return {
            "step": step,
            **terms,
            "grad_norm": norm,
            "learning_rate": learning_rate,
            "tokens": num_tokens,
            "seconds": round(seconds, 4),
            "tokens_per_s": round(num_tokens / seconds, 1),
        }

    def _accumulate(
        self, model: Any, optimizer: MasterAdamW, batch: list[EncodedRow], step: int
    ) -> tuple[dict[str, float | None], int]:
        """Run forward and backward over the micro-batches of a batch; returns the mean of each
        term, and the number of tokens. The loss is that of the whole batch, however it is cut."""
        accelerator, loss, head = self.accelerator, self.loss, self.student.head
        denominators = count_supervised(batch, loss.views)
        rank, world = accelerator.process_index, accelerator.num_processes
        max_tokens = self.params.micro_batch_tokens
        micros = micro_batches(batch, loss.views, max_tokens, rank, world)
        teachers: dict[Kind, Teacher] = {"mse": MemoryTeacher(self.memory)}
        if self.teacher is not None:
            teachers["kl"] = self.teacher
        penalty = self.memory.add_penalty(self.student.model)
        means = torch.zeros(len(loss.parts), device=accelerator.device)
        for micro in micros:
            is_last = micro is micros[-1]
            micro = micro.to(accelerator.device)
            with nullcontext() if is_last else accelerator.no_sync(model):
                computed = losses_of(micro, loss, denominators, model, head, teachers)
                self._check_finite(float(computed.total.detach()), "loss", batch, step)
                # Accelerate averages gradients over processes; they must be added up
                accelerator.backward(computed.total * world)
            means += computed.means
            # over processes, gradients are exchanged with the last micro-batch, not before
            if len(micros) > 1 and world == 1:
                optimizer.collect_gradients()
        num_tokens = torch.tensor(sum(micro.num_tokens for micro in micros))
        means = accelerator.reduce(means, reduction="sum")
        num_tokens = accelerator.reduce(num_tokens.to(accelerator.device), reduction="sum")
        return self._named(means.tolist(), penalty), int(num_tokens)

    @torch.no_grad()
    def _answer_logits(self, rows: Sequence[EncodedRow]) -> list[Tensor]:
        """The logits (n, V) of each row's answer (QA view), computed in eval mode."""
        student = self.student.eval()
        logits_of: dict[str, Tensor] = {}
        for micro in micro_batches(rows, ("qa",), self.params.micro_batch_tokens):
            micro = micro.to(student.model.device)
            states = student(micro, micro.supervised - 1)
            logits = states if student.head is None else student.head.logits(states)
            parts = logits.split([member.num_supervised for member in micro.members])
            ids = (member.row_id for member in micro.members)
            logits_of |= dict(zip(ids, parts, strict=True))
        student.train()
        return [logits_of[row.row_id] for row in rows]

    def _likelihood_backward(self, row: EncodedRow) -> None:
        """Add the gradient of one row's -log p(y | x) to the weights' gradients, computed in eval
        mode."""
        (micro,) = micro_batches([row], ("qa",), 1)
        micro, student, loss = micro.to(self.student.model.device), self.student, ce("qa", "new")
        # a denominator of 1: the sum over the answer's tokens
        losses_of(micro, loss, {("qa", "new"): 1}, student, student.head, {}).total.backward()

    def _named(self, means: list[float], penalty: float | None) -> dict[str, float | None]:
        """The loss and its terms by their columns in the log. A column is None where the method has
        no such term."""
        names = [*TERMS, *(term.name for _, term in self.loss.parts)]
        named: dict[str, float | None] = {"loss": penalty or 0.0, **dict.fromkeys(names)}
        named["penalty"] = penalty
        for (weight, term), mean in zip(self.loss.parts, means, strict=True):
            named["loss"] = (named["loss"] or 0.0) + weight * mean
            named[term.name] = (named[term.name] or 0.0) + mean
        return named

    def _check_finite(self, value: float, what: str, batch: list[EncodedRow], step: int) -> None:
        if math.isfinite(value):
            return
        row_ids = ", ".join(row.row_id for row in batch)
        raise DivergedError(
            f"Training diverged: the {what} is {value} at step {step}, on the rows {row_ids}. "
            "No checkpoint was written. Lower train.learning_rate (with an adapter, "
            "adapter.learning_rate) or raise train.warmup_fraction; if it is always the same row, "
            "look at it."
        )
