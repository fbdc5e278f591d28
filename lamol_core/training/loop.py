"""The training loop. Device, precision and processes are Accelerate's business."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from lamol_core.config import TrainParams
from lamol_core.errors import ConfigError, DivergedError
from lamol_core.methods.base import LossTerms, Method
from lamol_core.seeds import derive_seed
from lamol_core.text.template import ControlTokens
from lamol_core.training.batches import EncodedRow, MicroBatch, OptimizerBatch, optimizer_batches
from lamol_core.training.groups import gather_groups
from lamol_core.training.logits import LogitsAt
from lamol_core.training.masters import MasterWeights

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger(__name__)

TERMS = ("ce_qa", "ce_gen", "kl_qa", "kl_gen")
MEASURED_COLUMNS = ("seconds", "tokens_per_s")
"""Columns of the log that differ from run to run."""
LogRow = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """The log, one row a step. The model was trained in place."""

    log_rows: list[LogRow]


def count_steps(num_rows: int, params: TrainParams) -> int:
    """`steps`, or as many as `epochs` take."""
    return params.steps or params.epochs * math.ceil(num_rows / params.batch_size)


class Trainer:
    """Trains one student on one mix; the teacher, if any, is frozen and in eval mode."""

    def __init__(
        self,
        accelerator: Accelerator,
        student: PreTrainedModel,
        teacher: PreTrainedModel | None,
        method: Method,
        control: ControlTokens,
        params: TrainParams,
    ) -> None:
        self._accelerator, self._method, self._control = accelerator, method, control
        self._params = params
        self._student_model = student
        self._teacher = None
        if teacher is not None:
            self._teacher = LogitsAt(teacher.requires_grad_(False).eval())

    def train(
        self,
        rows: Sequence[EncodedRow],
        seed: int,
        on_step: Callable[[LogRow, int], None] = lambda row, num_steps: None,
    ) -> Trained:
        """Run all steps. Raises DivergedError at the first loss or gradient that is not finite."""
        if not rows:
            raise ConfigError("The mix has no rows: there is nothing to train on.")
        num_steps = count_steps(len(rows), self._params)
        torch.manual_seed(derive_seed(seed, "dropout") % 2**32)
        model, weights, optimizer, schedule = self._prepare(num_steps)
        model.train()
        log_rows: list[LogRow] = []
        for step, batch in enumerate(
            optimizer_batches(rows, self._params.batch_size, num_steps, seed)
        ):
            started = time.perf_counter()
            terms, num_tokens = self._accumulate(model, weights, batch, step)
            norm = self._accelerator.clip_grad_norm_(weights.masters, self._params.max_grad_norm)
            self._check_finite(float(norm), "gradient norm", batch, step)
            learning_rate = schedule.get_last_lr()[0]
            optimizer.step()
            weights.write_back()
            schedule.step()
            optimizer.zero_grad()
            seconds = time.perf_counter() - started
            log_rows.append(
                {
                    "step": step,
                    **terms,
                    "grad_norm": float(norm),
                    "learning_rate": learning_rate,
                    "tokens": num_tokens,
                    "seconds": round(seconds, 4),
                    "tokens_per_s": round(num_tokens / seconds, 1),
                }
            )
            on_step(log_rows[-1], num_steps)
        return Trained(log_rows)

    def _prepare(self, num_steps: int) -> tuple[Any, MasterWeights, Any, Any]:
        params = self._params
        model = self._accelerator.prepare(LogitsAt(self._student_model))
        weights = MasterWeights(model.parameters())
        decayed = [p for p in weights.masters if p.ndim >= 2]
        plain = [p for p in weights.masters if p.ndim < 2]
        groups = [
            {"params": decayed, "weight_decay": params.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=params.learning_rate, fused=True)
        schedule = get_linear_schedule_with_warmup(
            optimizer, round(params.warmup_fraction * num_steps), num_steps
        )
        # the schedule is stepped by us, once a step whatever the number of processes
        return model, weights, self._accelerator.prepare(optimizer), schedule

    def _accumulate(
        self, model: Any, weights: MasterWeights, batch: OptimizerBatch, step: int
    ) -> tuple[dict[str, float | None], int]:
        """Backward over the micro-batches. The loss is the whole batch's, however it is cut."""
        accelerator = self._accelerator
        counts = batch.count_tokens(self._method)
        micros = batch.micro_batches(
            self._method,
            self._control,
            self._params.micro_batch_tokens,
            accelerator.process_index,
            accelerator.num_processes,
        )
        shares: list[dict[str, float]] = []
        for place, micro in enumerate(micros):
            micro = self._to_device(micro)
            is_last = place == len(micros) - 1
            with _nothing() if is_last else accelerator.no_sync(model):
                tokens = gather_groups(micro, self._method, counts, model, self._teach)
                terms = self._method.loss(tokens)
                shares.append(_as_floats(terms))
                self._check_finite(shares[-1]["loss"], "loss", batch, step)
                # Accelerate averages gradients over processes; the shares must be added up
                accelerator.backward(terms.total * accelerator.num_processes)
            # over processes, gradients are exchanged with the last micro-batch, not before
            if is_last or accelerator.num_processes == 1:
                weights.collect_gradients()
        names = list(shares[0])
        sums = torch.tensor([sum(share[name] for share in shares) for name in names])
        num_tokens = torch.tensor(sum(micro.num_tokens for micro in micros))
        sums = accelerator.reduce(sums.to(accelerator.device), reduction="sum")
        num_tokens = accelerator.reduce(num_tokens.to(accelerator.device), reduction="sum")
        logged: dict[str, float | None] = {"loss": None, **dict.fromkeys(TERMS)}
        logged.update(zip(names, sums.tolist(), strict=True))
        return logged, int(num_tokens)

    def _teach(self, ids: torch.Tensor, mask: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        assert self._teacher is not None
        return self._teacher(ids, mask, at)

    def _to_device(self, micro: MicroBatch) -> MicroBatch:
        device = self._accelerator.device
        ids, mask, labels = (t.to(device) for t in (micro.ids, micro.mask, micro.labels))
        return MicroBatch(ids, mask, labels, micro.views, micro.origins, micro.num_tokens)

    def _check_finite(self, value: float, what: str, batch: OptimizerBatch, step: int) -> None:
        if math.isfinite(value):
            return
        row_ids = ", ".join(row.row_id for row in batch.rows)
        raise DivergedError(
            f"Training diverged: the {what} is {value} at step {step}, on the rows {row_ids}. "
            "No checkpoint was written. Lower train.learning_rate or raise "
            "train.warmup_fraction; if a single row is to blame, look at it."
        )


def _as_floats(terms: LossTerms) -> dict[str, float]:
    shown = {"loss": terms.total} | {
        name: value for name in TERMS if (value := getattr(terms, name)) is not None
    }
    return {name: float(value.detach()) for name, value in shown.items()}


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()
