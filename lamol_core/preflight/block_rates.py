"""Reckons how fast this machine trains and answers with a model, by one of its blocks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import torch
from accelerate import PartialState
from torch import Tensor

from lamol_core.decoding.engine import CACHE_BYTES
from lamol_core.decoding.slots import bytes_per_slot
from lamol_core.machine import memory_bytes
from lamol_core.methods.losses import CHUNK_BYTES, Segment, losses_of_states
from lamol_core.models.head import LinearHead
from lamol_core.models.precision import resolve_attention, resolve_precision
from lamol_core.models.shapes import Shapes, TriedBlock, UntriedBlock
from lamol_core.parameters import Params
from lamol_core.preflight.footprint import FP32, Footprint, Weights
from lamol_core.preflight.rates import Rates
from lamol_core.preflight.row_tokens import RowTokens, share_computed
from lamol_core.preflight.unloaded import UnloadedModel
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.tokenizer import reserved_tokens
from lamol_core.training.optimizer import MasterAdamW

ENOUGH_S = 1.0
"""A trial of so many seconds is long enough."""
TOO_LONG_S = 4.0
"""A trial that would take longer is not made."""
FEWEST_TOKENS = 64
TRIED_WORDS = 8192
"""Rows of the head that are tried: its time grows with them."""
TRIED_WEIGHTS = 2**22
DISK_BYTES_S = 5e8
"""Bytes of checkpoints that are read or written in a second."""
CHECKPOINTS = 4
"""Loaded: the teacher by three stages. Written: the student."""
SAVED_NUMBERS = 32
"""Numbers that a block keeps for each token and unit of width, if it can't be tried. Those of Llama
and Qwen keep 23 to 32."""


@dataclass(frozen=True)
class TokenTimes:
    """Seconds for each token of a whole model. `forward`: of many tokens at once; `decoding`: of
    one token of each row in the slots, without the head; `step`: forward and backward."""

    forward: float
    decoding: float
    step: float


@dataclass(frozen=True)
class Workload:
    """The rows of a task that has long ones, and their mean tokens.

    `pseudo_share`: of all rows of the sequence, those that are pseudo-samples. `epochs`: how often
    each row is read."""

    rows: Sequence[EncodedRow]
    tokens: RowTokens
    pseudo_share: float
    epochs: float

    def lengths(self, params: Params) -> tuple[int, float, float]:
        """The mean tokens of a view, the tokens of an optimizer batch, and the share of them that
        is supervised."""
        views = [view for row in self.rows for view in row.views(params.chosen.loss.views)]
        num_tokens = sum(len(view.ids) for view in views)
        supervised = sum(view.num_supervised for view in views)
        in_batch = self.tokens.trained * params.train.batch_size
        return round(num_tokens / len(views)), in_batch, supervised / num_tokens


def reckon(
    unloaded: UnloadedModel, params: Params, work: Workload
) -> tuple[Shapes, Rates, Footprint, list[str]]:
    """The model's numbers, its rates and the memory of a training; and a sentence where its blocks
    can't be tried. The model is of no other use then."""
    device, notes = PartialState().device, []
    dtype = resolve_precision(params.train.precision, device)
    attention = resolve_attention(params.train.attention, device)
    shapes = Shapes.of(unloaded.model)
    a_slot = bytes_per_slot(unloaded.model, params.text.max_sample_tokens) * dtype.itemsize // FP32
    slots = min(params.generate.batch_size, max(CACHE_BYTES // a_slot, 1))
    length, in_batch, supervised = work.lengths(params)
    micro = min(round(in_batch), params.train.micro_batch_tokens)
    share = share_computed(work.rows, params) if attention == "packed" else 1.0
    flops = product_rate(dtype, device)
    is_slow = shapes.num_block_weights * 6 * FEWEST_TOKENS / flops > TOO_LONG_S * shapes.num_blocks
    weights = weights_of(shapes, params, params.adapter.kind)
    try:
        if is_slow:
            raise UntriedBlock(f"products in {str(dtype).removeprefix('torch.')} are slow here")
        block = TriedBlock(unloaded.model, dtype, attention, device)
        scale = shapes.num_block_weights / block.num_weights
        times = _try_block(block, length, micro, slots, scale, bool(weights.frozen))
        saved = block.saved_bytes(2, length) / (2 * length)
    except UntriedBlock as reason:
        notes.append(f"the speed is that of a matrix product alone ({reason}).")
        forward = 2 * shapes.num_block_weights / flops
        times = TokenTimes(forward, forward, 3 * forward)
        saved, scale = SAVED_NUMBERS * shapes.width * dtype.itemsize, float(shapes.num_blocks)
    tokens = (micro, share * micro)
    footprint = _footprint(shapes, params, dtype, tokens, in_batch, supervised, (saved, scale))
    head = _try_head(shapes, dtype, device, flops if is_slow else None, bool(weights.frozen))
    rates = _rates(shapes, params, work, times, head, share, dtype, device)
    return shapes, rates, footprint, notes


def weights_of(shapes: Shapes, params: Params, kind: Literal["none", "lora"]) -> Weights:
    """How many weights are trained, with an adapter of this kind."""
    if kind == "none":
        return Weights(shapes.num_weights, head=shapes.num_head_weights)
    targets = params.adapter.targets
    named = shapes.linear_sides if targets == "all-linear" else targets
    own = params.adapter.r * sum(shapes.linear_sides.get(name, 0) for name in named)
    if params.text.format == "tokens":
        num_reserved = len(reserved_tokens(params.backbone.max_tasks))
        own += num_reserved * shapes.width * shapes.num_tables
    return Weights(own, shapes.num_weights, shapes.num_head_weights)


def product_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations in a second, in the three products of a small layer's step."""
    states = torch.randn(FEWEST_TOKENS, 1024, dtype=dtype, device=device)
    weight = torch.randn(1024, 1024, dtype=dtype, device=device)

    def products() -> Tensor:
        out = states @ weight
        return (states.T @ out).sum() + (out @ weight.T).sum()

    products()
    return 6 * states.numel() * 1024 / _seconds(products, device)


def _try_block(
    block: TriedBlock, length: int, most_tokens: int, slots: int, scale: float, is_frozen: bool
) -> TokenTimes:
    """Try more and more tokens, up to those of a micro-batch, until a trial is long enough."""
    tried, num_tokens = 0, FEWEST_TOKENS
    while True:
        num_rows = max(min(num_tokens, most_tokens) // length, 1)
        seconds = block.seconds(num_rows, length, is_frozen)
        forward, step = (s / (num_rows * length) for s in seconds)
        tried, num_tokens = tried + 1, num_tokens * 4
        is_long = step * num_rows * length >= ENOUGH_S
        if tried > 1 and (is_long or num_tokens >= 4 * most_tokens):
            break
        if is_long:  # the first one was slow, perhaps because it was the first
            num_tokens = FEWEST_TOKENS
    decoding = block.forward_seconds(slots, 1) / slots
    return TokenTimes(forward * scale, decoding * scale, step * scale)


@dataclass(frozen=True)
class HeadTimes:
    """Seconds for each token of the logits alone, and of the losses with their gradients."""

    logits: float
    ce: float
    kl: float


def _try_head(
    shapes: Shapes, dtype: torch.dtype, device: torch.device, flops: float | None, is_frozen: bool
) -> HeadTimes:
    """`flops`: a rate, where trying would take too long. `is_frozen`: the head has no gradient."""
    if flops is not None:
        logits = 2 * shapes.num_head_weights / flops
        return HeadTimes(logits, 3 * logits, 4 * logits)
    num_words, num = min(shapes.vocabulary, TRIED_WORDS), 2 * FEWEST_TOKENS
    weight = torch.empty(num_words, shapes.width, dtype=dtype, device=device).normal_(std=0.02)
    states = torch.randn(num, shapes.width, dtype=dtype, device=device, requires_grad=True)
    plain, labels = states.detach(), torch.zeros(num, dtype=torch.long, device=device)
    teacher = LinearHead(weight.detach())
    head = teacher if is_frozen else LinearHead(weight.requires_grad_())

    def seconds_of(segment: Segment) -> float:
        def run() -> None:
            losses_of_states(states, head, [segment]).total.backward()
            weight.grad = states.grad = None

        run()
        return _seconds(run, device)

    logits = _seconds(lambda: teacher.logits(plain), device)
    ce = seconds_of(Segment("ce", 1.0, labels))
    kl = seconds_of(Segment("kl", 1.0, plain, teacher, 2.0))
    scale = shapes.vocabulary / num_words / num
    return HeadTimes(logits * scale, ce * scale, kl * scale)


def _rates(
    shapes: Shapes,
    params: Params,
    work: Workload,
    times: TokenTimes,
    head: HeadTimes,
    share: float,
    dtype: torch.dtype,
    device: torch.device,
) -> Rates:
    """`share`: of the tokens of a training, those that blocks compute."""
    train, loss = params.train, params.chosen.loss
    _, in_batch, supervised = work.lengths(params)
    losses, teacher_s = head.ce, 0.0
    if loss.of_kind("kl"):
        losses += work.pseudo_share * (head.kl - head.ce)
        passes = 1.0 if train.teacher_targets == "online" else 1 / work.epochs
        teacher_s = work.pseudo_share * passes * times.forward
    trained_s = share * (times.step + teacher_s) + supervised * losses
    num_trained = weights_of(shapes, params, params.adapter.kind).trainable
    trained_s += num_trained * _optimizer_s(dtype, device) / in_batch
    drawn_s = times.decoding + head.logits
    answered = fmean(len(row.target_ids) + 1 for row in work.rows)
    asked = work.tokens.answered - answered
    checkpoint = num_trained * dtype.itemsize
    return Rates(
        answered_s=(asked * times.forward + answered * drawn_s) / (asked + answered),
        drawn_s=drawn_s if params.chosen.rehearses else 0.0,
        trained_s=trained_s,
        training_s=CHECKPOINTS * shapes.num_weights * dtype.itemsize / DISK_BYTES_S,
        backbone_bytes=shapes.num_weights * FP32,
        task_bytes=checkpoint + num_trained * FP32 * params.chosen.kept_per_weight,
        num_weights=shapes.num_weights,
    )


def _optimizer_s(dtype: torch.dtype, device: torch.device) -> float:
    """The seconds that AdamW takes for a weight."""
    weight = torch.nn.Parameter(torch.zeros(TRIED_WEIGHTS, dtype=dtype, device=device))
    optimizer = MasterAdamW([weight], 0.01)

    def step() -> None:
        weight.grad = torch.ones_like(weight)
        optimizer.gradient_norm()
        optimizer.step(1e-4, 0.5)

    step()
    return _seconds(step, device) / TRIED_WEIGHTS


def _footprint(
    shapes: Shapes,
    params: Params,
    dtype: torch.dtype,
    tokens: tuple[int, float],
    in_batch: float,
    supervised: float,
    saved: tuple[float, float],
) -> Footprint:
    """`tokens`: of a micro-batch, and those of them that are computed. `saved`: the bytes that a
    block keeps for each, and how many blocks there are."""
    train, distils = params.train, bool(params.chosen.loss.of_kind("kl"))
    (micro, computed), (a_token, num_blocks) = tokens, saved
    a_word = shapes.vocabulary * dtype.itemsize
    logits = min(CHUNK_BYTES, round(micro * supervised) * a_word) * (1 + distils)
    teacher = train.teacher_targets
    if not shapes.has_plain_head:  # the logits of all tokens at once, and their softmax in fp32
        logits = micro * shapes.vocabulary * (dtype.itemsize + 2 * FP32)
        teacher = "online"
    return Footprint(
        weights_of(shapes, params, params.adapter.kind),
        bytes_per_weight=dtype.itemsize,
        num_micro_batches=math.ceil(in_batch / train.micro_batch_tokens),
        teacher=teacher if distils else "none",
        saved_bytes=round(computed * a_token * num_blocks),
        saved_by_block=round(computed * a_token),
        input_bytes=round(computed * shapes.width * dtype.itemsize * num_blocks),
        logit_bytes=logits,
        has_checkpointing=train.gradient_checkpointing,
        kept_per_weight=params.chosen.kept_per_weight,
        has_expert=params.chosen.expert_loss is not None,
    )


def device_memory() -> int | None:
    """The bytes of memory that a training can take; None where the system doesn't tell."""
    device = PartialState().device
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return memory_bytes()


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
