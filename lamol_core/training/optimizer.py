"""AdamW on fp32 masters, a piece of a parameter at a time.

A bf16 weight keeps 8 bits: an update smaller than 1/256 of it would be lost, so the optimizer steps
an fp32 master (Micikevicius et al. 2018, section 3.1). The weight is the upper half of its master,
rounded; only the lower half is kept besides, 2 bytes a number instead of 4.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

PIECE = 2**18
"""Numbers stepped at once: a piece's master, gradient and moments stay in the processor's cache."""
BETAS, EPSILON = (0.9, 0.999), 1e-8
HALF = 0x8000


class MasterAdamW:
    """AdamW (Loshchilov and Hutter 2019), torch's fused kernel, for fp32 and bf16 weights.

    Matrices decay, vectors do not. Gradients of several micro-batches are added up in fp32 (by one
    process; several exchange theirs in the weights' format).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float) -> None:
        self._weights = [weight for weight in parameters if weight.requires_grad]
        self._weight_decay = weight_decay
        self._lower = [_lower_half(weight) for weight in self._weights]
        self._moments = [
            tuple(torch.zeros(w.numel(), device=w.device) for _ in range(2)) for w in self._weights
        ]
        self._sums: list[Tensor] | None = None
        self._num_steps = torch.tensor(0)

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on besides weights and gradients, by name. Who copies
        another optimizer's state into these tensors goes on as that one would."""
        state = {"num_steps": self._num_steps}
        for index, (lower, moments) in enumerate(zip(self._lower, self._moments, strict=True)):
            state |= {f"{index}.first": moments[0], f"{index}.second": moments[1]}
            if lower is not None:
                state[f"{index}.lower"] = lower
        return state

    def collect_gradients(self) -> None:
        """Take the gradients off the weights and add them up in fp32, where more will follow."""
        if all(weight.dtype == torch.float32 for weight in self._weights):
            return  # autograd adds them up by itself
        if self._sums is None:
            self._sums = [torch.zeros_like(w, dtype=torch.float32) for w in self._weights]
        for weight, total in zip(self._weights, self._sums, strict=True):
            if weight.grad is not None:
                total += weight.grad
                weight.grad = None

    def gradient_norm(self) -> Tensor:
        """The norm of all gradients together, (), in fp32.

        A piece at a time: at once a bf16 gradient would be copied whole, into memory that the
        machine must back first (SmolLM2, one AMD core: 35 ms of CPU time a step instead of 80)."""
        norms = [
            torch.linalg.vector_norm(gradient.view(-1)[start : start + PIECE].float())
            for gradient in self._gradients()
            if gradient is not None
            for start in range(0, gradient.numel(), PIECE)
        ]
        return torch.linalg.vector_norm(torch.stack(norms))

    @torch.no_grad()
    def step(self, learning_rate: float, factor: float = 1.0) -> None:
        """Step by `factor` times the gradients (clipping) and clear them."""
        self._num_steps += 1
        for weight, lower, moments, gradient in zip(
            self._weights, self._lower, self._moments, self._gradients(), strict=True
        ):
            if gradient is None:
                continue
            decay = self._weight_decay if weight.ndim >= 2 else 0.0
            flat = weight.detach().view(-1)
            for start in range(0, weight.numel(), PIECE):
                piece = slice(start, start + PIECE)
                part = flat[piece]
                master = part if lower is None else join_halves(part, lower[piece])
                scaled = gradient.view(-1)[piece].float()
                scaled = scaled if factor == 1.0 else scaled * factor
                first, second = (moment[piece] for moment in moments)
                # the kernel counts the step itself
                counted = (self._num_steps - 1).to(master.device, torch.float32)
                adamw(
                    [master], [scaled], [first], [second], [], [counted], fused=True,
                    amsgrad=False, beta1=BETAS[0], beta2=BETAS[1], lr=learning_rate,
                    weight_decay=decay, eps=EPSILON, maximize=False,
                )  # fmt: skip
                if lower is not None:
                    split_halves(master, part, lower[piece])
            weight.grad = None
        self._sums = None

    def _gradients(self) -> list[Tensor | None]:
        if self._sums is None:
            return [weight.grad for weight in self._weights]
        return list(self._sums)


def _lower_half(weight: Tensor) -> Tensor | None:
    """Of a master that equals its bf16 weight. None for an fp32 weight, which is its own master."""
    if weight.dtype == torch.float32:
        return None
    assert weight.dtype == torch.bfloat16, f"weights of {weight.dtype} have no master"
    return torch.full((weight.numel(),), -HALF, dtype=torch.int16, device=weight.device)


def join_halves(weight: Tensor, lower: Tensor) -> Tensor:
    """The fp32 master (n,) of bf16 weights (n,) and the lower halves (n,) int16."""
    master = torch.empty(len(weight), device=weight.device)
    halves = master.view(torch.int16).view(-1, 2)  # the lower stands first: little-endian
    halves[:, 0], halves[:, 1] = lower, weight.view(torch.int16)
    master.view(torch.int32).sub_(HALF)
    return master


def split_halves(master: Tensor, weight: Tensor, lower: Tensor) -> None:
    """Round an fp32 master into its weight (halves away from zero) and keep what is lost.

    The master is used up: half a unit of the upper half is added to it.
    """
    master.view(torch.int32).add_(HALF)
    halves = master.view(torch.int16).view(-1, 2)
    lower.copy_(halves[:, 0])
    weight.view(torch.int16).copy_(halves[:, 1])
