"""The losses fused with the head: those of the plain form by autograd, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lamol_core.methods import losses
from lamol_core.methods.losses import Segment, TokenLosses, losses_of_states
from lamol_core.models.head import LinearHead

WIDTH, WORDS = 12, 61
CE, KL, MSE = 23, 17, 11


def make(
    dtype: torch.dtype = torch.float32, bias: bool = True
) -> tuple[Tensor, LinearHead, list[Segment]]:
    """Hidden states, a head, and a batch's terms: cross-entropy, a divergence from a teacher whose
    states are of another width, the squared difference to stored logits."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    hidden = normal(CE + KL + MSE, WIDTH).to(dtype).requires_grad_()
    head = LinearHead(
        normal(WORDS, WIDTH).to(dtype).requires_grad_(),
        normal(WORDS).to(dtype).requires_grad_() if bias else None,
    )
    teacher_head = LinearHead(normal(WORDS, 5).to(dtype))
    teacher_states = normal(KL, 5).to(dtype)
    stored = normal(MSE, WORDS).half()
    labels = torch.randint(WORDS, (CE,), generator=generator)
    segments = [
        Segment("ce", 1 / CE, labels),
        Segment("kl", 0.3 / KL, teacher_states, teacher_head, temperature=2.0),
        Segment("mse", 0.7 / MSE, stored),
    ]
    return hidden, head, segments


def gradients(
    compute: Callable[[Tensor, LinearHead, list[Segment]], TokenLosses],
    dtype: torch.dtype = torch.float32,
    factor: float = 1.0,
    bias: bool = True,
) -> tuple[TokenLosses, list[Tensor]]:
    hidden, head, segments = make(dtype, bias)
    computed = compute(hidden, head, segments)
    (factor * computed.total).backward()
    leaves = [hidden, head.weight, *([head.bias] if head.bias is not None else [])]
    grads = [leaf.grad for leaf in leaves]
    return computed, [grad for grad in grads if grad is not None]


def plain(hidden: Tensor, head: LinearHead, segments: list[Segment]) -> TokenLosses:
    """All logits at once, the gradient by autograd."""
    return plain_losses(head.logits(hidden), segments)


def without_head(hidden: Tensor, head: LinearHead, segments: list[Segment]) -> TokenLosses:
    """The fused form on logits, as for a model whose head is no matrix."""
    return losses_of_states(head.logits(hidden), None, segments)


def plain_losses(logits: Tensor, segments: list[Segment]) -> TokenLosses:
    parts = logits.float().split([len(segment.values) for segment in segments])
    losses = [plain_loss(part, segment) for part, segment in zip(parts, segments, strict=True)]
    weights = torch.tensor([segment.weight for segment in segments])
    return TokenLosses((weights * torch.stack(losses)).sum(), torch.stack(losses).detach())


def plain_loss(logits: Tensor, segment: Segment) -> Tensor:
    targets, temperature = segment.targets(0, len(logits)), segment.temperature
    if segment.kind == "ce":
        return F.cross_entropy(logits, targets, reduction="sum")
    if segment.kind == "mse":
        return (logits - targets.to(logits.dtype)).square().mean(dim=-1).sum()
    log_student = F.log_softmax(logits / temperature, dim=-1)
    teacher = F.softmax(targets.to(logits.dtype) / temperature, dim=-1)
    return temperature**2 * F.kl_div(log_student, teacher, reduction="sum")


def relative(left: Tensor, right: Tensor) -> float:
    return float((left.double() - right.double()).norm() / right.double().norm())


@pytest.fixture(params=[10**9, 7 * WORDS * 4, 1], ids=["one chunk", "chunks of 7", "rows"])
def _chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "CHUNK_BYTES", request.param)
    monkeypatch.setattr(losses, "IN_CACHE_BYTES", request.param // 2)


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("compute", [losses_of_states, without_head])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_loss_and_gradients_are_those_of_the_plain_form(
    factor: float, bias: bool, compute: Callable[..., TokenLosses]
) -> None:
    fused, fused_grads = gradients(compute, factor=factor, bias=bias)
    expected, plain_grads = gradients(plain, factor=factor, bias=bias)
    assert relative(fused.total.detach(), expected.total.detach()) < 1e-6
    assert relative(fused.sums, expected.sums) < 1e-6
    assert len(fused_grads) == len(plain_grads) == 2 + bias
    for mine, theirs in zip(fused_grads, plain_grads, strict=True):
        assert relative(mine, theirs) < 1e-5


def test_in_bf16_it_is_as_near_to_the_truth_as_the_plain_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a few chunks, as it is in use: the head's gradient is added up in bf16, once a chunk."""
    monkeypatch.setattr(losses, "CHUNK_BYTES", 11 * WORDS * 2)
    hidden, head, segments = make(torch.bfloat16)
    exact_leaves = [t.detach().double().requires_grad_() for t in (hidden, head.weight)]
    assert head.bias is not None
    exact_head = LinearHead(exact_leaves[1], head.bias.detach().double())
    # the teacher's logits are rounded to bf16 on both sides; what is compared is the student's side
    parts = exact_head.logits(exact_leaves[0]).split([CE, KL, MSE])
    exact = [plain_loss(part, segment) for part, segment in zip(parts, segments, strict=True)]
    sum(s.weight * loss for s, loss in zip(segments, exact, strict=True)).backward()
    fused, fused_grads = gradients(losses_of_states, torch.bfloat16)
    _, plain_grads = gradients(plain, torch.bfloat16)
    assert relative(fused.sums, torch.stack(exact).detach()) < 5e-3
    for mine, theirs, truth in zip(fused_grads, plain_grads, exact_leaves, strict=False):
        assert truth.grad is not None
        assert relative(mine, truth.grad) < 1.5 * relative(theirs, truth.grad) + 1e-3


class LargestTensor(TorchDispatchMode):
    """The largest number of elements of what any operation gives."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor):
                self.largest = max(self.largest, tensor.numel())
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_matrix_of_all_tokens_and_words_is_made(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "CHUNK_BYTES", 4 * WORDS * 4)
    with LargestTensor() as fused:
        gradients(losses_of_states, dtype)
    with LargestTensor() as naive:
        gradients(plain, dtype)
    assert naive.largest == (CE + KL + MSE) * WORDS
    assert fused.largest == WORDS * WIDTH, "the head's gradient is the largest"


def test_without_a_gradient_none_is_computed() -> None:
    hidden, head, segments = make()
    with torch.no_grad():
        alone = losses_of_states(hidden, head, segments)
    torch.testing.assert_close(alone.total, plain(hidden, head, segments).total.detach())
    assert not alone.total.requires_grad


def test_no_token_at_all_is_a_zero_that_backward_takes() -> None:
    hidden, head, _ = make()
    for compute in (losses_of_states, without_head):
        total = compute(hidden[:0], head, []).total
        total.backward()
        assert total.item() == 0.0
    assert hidden.grad is not None and hidden.grad.abs().sum() == 0


@pytest.mark.parametrize("kind", ["kl", "mse"])
def test_a_segment_of_equal_logits_has_no_loss_and_no_gradient(kind: Literal["kl", "mse"]) -> None:
    hidden, head, _ = make()
    same = Segment(kind, 1.0, head.logits(hidden).detach())
    computed = losses_of_states(hidden, head, [same])
    computed.total.backward()
    assert abs(computed.total.item()) < 1e-4
    assert hidden.grad is not None and hidden.grad.abs().max() < 1e-5


def test_no_segment_gives_no_sum_in_any_format() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        nothing = losses_of_states(torch.zeros(0, 5, dtype=dtype), None, [])
        assert nothing.sums.shape == (0,) and nothing.sums.dtype == torch.float32
        assert float(nothing.total) == 0.0
