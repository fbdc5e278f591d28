"""Save a training from time to time, so that an interrupted one can go on.

Weights, optimizer, memory and log are saved in `.lamol/resume/<task>/<hash of inputs>`. DVC deletes
a stage's outputs before it runs, so they do not lie there. A training that was interrupted ends
with the same bytes as one that never stopped.
"""

import json
import logging
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.manifest import check_folder, seal_folder, sha256_of_json
from lamol_core.errors import ArtifactError
from lamol_core.methods.memory import Memory
from lamol_core.training.optimizer import MasterAdamW

log = logging.getLogger(__name__)
EVERY_S = 300.0
"""Seconds between two saves. SmolLM2-135M in fp32 writes 1.6 GB each time."""
RESUME = "resume"
TENSORS, PROGRESS, MEMORY = "tensors.safetensors", "progress.json", "memory"
LogRow = dict[str, Any]


@dataclass
class Resume:
    """The saved state of one training, in a folder below `root` named by the hash of its `inputs`.

    `keeps_end`: save the last step too, because an expert's model is needed after its training.
    `seconds_before`: the seconds that the loaded steps took. A training by several processes has no
    Resume."""

    root: Path
    inputs: Mapping[str, Any]
    keeps_end: bool = False
    seconds_before: float = field(default=0.0, init=False)
    _saved_at: float = field(default_factory=time.perf_counter)

    @property
    def folder(self) -> Path:
        return self.root / sha256_of_json(self.inputs)[:32]

    def load(self, model: nn.Module, optimizer: MasterAdamW, memory: Memory) -> list[LogRow]:
        """Restore model, optimizer, memory and random state after the last saved step; returns the
        log up to it.

        The log is [] where nothing was saved or the saved state is damaged. Nothing is restored
        then."""
        # no training goes on from states of other inputs, and they may hold a memory's real rows
        for other in self.root.glob("*"):
            if other != self.folder:
                self._tell_of(other)
                shutil.rmtree(other, ignore_errors=True)
        self._saved_at = time.perf_counter()
        try:
            check_folder(self.folder, RESUME, "")
        except ArtifactError:
            if self.folder.exists():
                log.info("the saved state of an interrupted training is damaged: it starts anew")
            return []
        tensors = load_file(self.folder / TENSORS)
        for name, tensor in _state(model, optimizer).items():
            tensor.copy_(tensors[name])
        torch.set_rng_state(tensors["random"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random_cuda"])
        memory.read(self.folder / MEMORY)
        progress = json.loads((self.folder / PROGRESS).read_text(encoding="utf-8"))
        rows: list[LogRow] = progress["log_rows"]
        self.seconds_before = sum(row["seconds"] for row in rows)
        log.info("goes on after step %d of an interrupted training", len(rows))
        return rows

    def _tell_of(self, other: Path) -> None:
        """Say which inputs kept a saved state from being used."""
        with suppress(OSError, ValueError, KeyError):
            progress = json.loads((other / PROGRESS).read_text(encoding="utf-8"))
            kept, own = progress["inputs"], json.loads(json.dumps(dict(self.inputs)))
            changed = sorted(key for key in kept | own if kept.get(key) != own.get(key))
            log.info(
                "the state saved after step %d is not used, for these have changed: %s",
                len(progress["log_rows"]), ", ".join(changed),
            )  # fmt: skip

    @property
    def is_due(self) -> bool:
        """Whether EVERY_S seconds have passed since the last save."""
        return time.perf_counter() - self._saved_at >= EVERY_S

    def save(
        self, model: nn.Module, optimizer: MasterAdamW, memory: Memory, log_rows: list[LogRow]
    ) -> None:
        """Save the state after a step. `log_rows`: the log of all steps so far."""
        tensors = _state(model, optimizer) | {"random": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["random_cuda"] = torch.cuda.get_rng_state()
        with atomic_folder(self.folder) as scratch:
            save_file(tensors, scratch / TENSORS)
            (scratch / MEMORY).mkdir()
            memory.write(scratch / MEMORY)
            progress = json.dumps({"log_rows": log_rows, "inputs": dict(self.inputs)})
            (scratch / PROGRESS).write_text(progress, encoding="utf-8")
            seal_folder(scratch, RESUME, {"steps": len(log_rows)})
        self._saved_at = time.perf_counter()

    def remove(self) -> None:
        """Delete the saved state. Call this after all outputs of the training were written."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # it holds another training's state, or does not exist
            self.root.rmdir()


def _state(model: nn.Module, optimizer: MasterAdamW) -> dict[str, Tensor]:
    """The tensors that change in each step, by name. Values copied into them change the training
    itself."""
    named = model.named_parameters()
    weights = {f"weight.{name}": p.detach() for name, p in named if p.requires_grad}
    return weights | {f"optimizer.{name}": t for name, t in optimizer.state().items()}
