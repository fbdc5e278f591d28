"""AdamW on fp32 master weights, one piece of a parameter at a time.

A bf16 weight keeps 8 significant bits, so an update smaller than 1/256 of it would be lost. The
optimizer therefore updates an fp32 master (Micikevicius et al. 2018, section 3.1). The bf16 weight
is the rounded upper half of its master. What rounding took away is stored in addition: 2 bytes per
number, not 4.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

PIECE = 2**18
"""How many numbers are updated at once. A piece's master, gradient and moments fit the processor's
cache."""
BETAS, EPSILON = (0.9, 0.999), 1e-8
HALF = 0x8000


class MasterAdamW:
    """AdamW (Loshchilov and Hutter 2019) with torch's fused kernel, for fp32 and bf16 weights.

    Weight decay applies to matrices, not to vectors. One process adds up the gradients of its
    micro-batches in fp32. Several processes exchange gradients in the weights' dtype."""

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float) -> None:
        self._weights = [weight for weight in parameters if weight.requires_grad]
        self._weight_decay = weight_decay
        self._rests = [_no_rest(weight) for weight in self._weights]
        self._moments = [
            tuple(torch.zeros(w.numel(), device=w.device) for _ in range(2)) for w in self._weights
        ]
        self._sums: list[Tensor] | None = None
        self._num_steps = torch.tensor(0)

    def state(self) -> dict[str, Tensor]:
        """All tensors, by name, that the next step depends on besides weights and gradients. To
        restore a state, copy another optimizer's values into these tensors."""
        state = {"num_steps": self._num_steps}
        for index, (rest, moments) in enumerate(zip(self._rests, self._moments, strict=True)):
            state |= {f"{index}.first": moments[0], f"{index}.second": moments[1]}
            if rest is not None:
                state[f"{index}.rest"] = rest
        return state

    def collect_gradients(self) -> None:
        """Move the gradients from bf16 weights to fp32 sums, so that the next micro-batch can add
        to them."""
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

        It is computed piece by piece. Otherwise each bf16 gradient would be copied as a whole into
        new memory, which the machine must provide first (SmolLM2, one AMD core: 35 ms of CPU time
        per step instead of 80)."""
        norms = [
            torch.linalg.vector_norm(gradient.view(-1)[start : start + PIECE].float())
            for gradient in self._gradients()
            if gradient is not None
            for start in range(0, gradient.numel(), PIECE)
        ]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm

    @torch.no_grad()
    def step(self, learning_rate: float, factor: float = 1.0) -> None:
        """Update all weights with `factor` (clipping) times the gradients, then clear the
        gradients."""
        self._num_steps += 1
        for weight, rest, moments, gradient in zip(
            self._weights, self._rests, self._moments, self._gradients(), strict=True
        ):
            if gradient is None:
                continue
            decay = self._weight_decay if weight.ndim >= 2 else 0.0
            flat = weight.detach().view(-1)
            for start in range(0, weight.numel(), PIECE):
                piece = slice(start, start + PIECE)
                part = flat[piece]
                master = part if rest is None else to_masters(part, rest[piece])
                scaled = gradient.view(-1)[piece].float()  # the gradient itself, if it is fp32
                scaled.mul_(factor)
                first, second = (moment[piece] for moment in moments)
                # the kernel counts the step itself
                counted = (self._num_steps - 1).to(master.device, torch.float32)
                adamw(
                    [master], [scaled], [first], [second], [], [counted], fused=True,
                    amsgrad=False, beta1=BETAS[0], beta2=BETAS[1], lr=learning_rate,
                    weight_decay=decay, eps=EPSILON, maximize=False,
                )  # fmt: skip
                if rest is not None:
                    round_masters(master, part, rest[piece])
            weight.grad = None
        self._sums = None

    def _gradients(self) -> list[Tensor | None]:
        if self._sums is None:
            return [weight.grad for weight in self._weights]
        return list(self._sums)


def _no_rest(weight: Tensor) -> Tensor | None:
    """What a bf16 weight lacks of a master that equals it: zeros. None for an fp32 weight, which is
    its own master."""
    if weight.dtype == torch.float32:
        return None
    assert weight.dtype == torch.bfloat16, f"weights of {weight.dtype} have no master"
    return torch.zeros(weight.numel(), dtype=torch.int16, device=weight.device)


def to_masters(weight: Tensor, rest: Tensor) -> Tensor:
    """The fp32 masters (n,) of bf16 weights (n,) and their rests (n,) int16."""
    master = weight.float()
    master.view(torch.int32).add_(rest.to(torch.int32))
    return master


def round_masters(master: Tensor, weight: Tensor, rest: Tensor) -> None:
    """Round fp32 masters (n,) into bf16 weights (n,), ties away from zero. `rest` (n,) int16 gets
    master less weight, in units of the master's last bit. `master` is changed."""
    bits = master.view(torch.int32).add_(HALF)
    rest.copy_(bits).bitwise_xor_(-HALF)  # the lower 16 bits, less HALF
    bits.bitwise_and_(-2 * HALF)
    weight.copy_(master)
