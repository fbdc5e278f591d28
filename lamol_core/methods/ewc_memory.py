"""The memory of EWC: the diagonal of the empirical Fisher information, summed over tasks.

It is computed at the end of each task, from the gradient of each row's own log-likelihood. The
penalty measures distances of the weights used in the forward. With bf16 it ignores the finer
changes of the fp32 masters.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lamol_core.methods.ewc import EwcParams
from lamol_core.methods.memory import BackwardOf, Memory, file_of_state
from lamol_core.seeds import derive_seed
from lamol_core.text.encoded import EncodedRow

FISHER = "fisher.safetensors"


class FisherMemory(Memory):
    """The Fisher information of the tasks so far: a tensor for each parameter that is trained."""

    def __init__(
        self, params: EwcParams, seed: int, fisher: dict[str, Tensor] | None = None
    ) -> None:
        self._params, self._seed, self._fisher = params, seed, fisher or {}
        self._anchor: dict[str, Tensor] = {}

    def read(self, folder: Path) -> None:
        self._fisher = load_file(file_of_state(folder, FISHER))

    def begin(self, model: nn.Module) -> None:
        if self._fisher:
            self._anchor = {name: p.detach().clone() for name, p in _trained(model)}

    @torch.no_grad()
    def add_penalty(self, model: nn.Module) -> float:
        if not self._fisher:
            return 0.0
        value = torch.zeros((), dtype=torch.float64)
        for name, parameter in _trained(model):
            moved = parameter.float() - self._anchor[name].float()
            pull = self._params.weight * self._fisher[name].to(moved.device) * moved
            value += 0.5 * torch.dot(pull.flatten(), moved.flatten()).double().cpu()
            gradient = pull.to(parameter.dtype)
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return float(value)

    def finish(self, model: nn.Module, rows: Sequence[EncodedRow], backward_of: BackwardOf) -> None:
        chosen = list(rows)
        if self._params.fisher_rows is not None and self._params.fisher_rows < len(chosen):
            rng = random.Random(derive_seed(self._seed, "fisher"))
            chosen = rng.sample(chosen, self._params.fisher_rows)
        self._anchor = {}  # the task has ended: its weights are no longer needed
        named = dict(_trained(model))
        squares = {name: torch.zeros_like(p, dtype=torch.float32) for name, p in named.items()}
        for row in chosen:
            model.zero_grad(set_to_none=True)
            backward_of(row)
            for name, parameter in named.items():
                if parameter.grad is not None:
                    gradient = parameter.grad.float()
                    squares[name].addcmul_(gradient, gradient, value=1 / len(chosen))
        model.zero_grad(set_to_none=True)
        for name, square in squares.items():
            before = self._fisher.get(name)
            self._fisher[name] = square if before is None else square + before.to(square.device)

    def write(self, folder: Path) -> dict[str, int]:
        save_file({name: f.cpu().contiguous() for name, f in self._fisher.items()}, folder / FISHER)
        return {"fisher_numbers": sum(f.numel() for f in self._fisher.values()), "real_rows": 0}


def _trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that are trained, by name: those of the adapter, where there is one."""
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)
