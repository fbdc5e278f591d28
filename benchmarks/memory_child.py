"""A few training steps in a process of its own; prints its peak memory as one JSON line.

python -m benchmarks.memory_child ours|published --rows 64 [--checkpoint FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import ours, published
from benchmarks.harness import quiet_libraries
from benchmarks.workspace import open_workspace
from lamol_core.machine import peak_memory_bytes


def train(side: str, num_rows: int, checkpoint: Path | None, precision: str) -> dict[str, object]:
    """One epoch over the rows by one side; peaks before (imports and rows) and after."""
    import torch
    import transformers  # noqa: F401  (its import is part of the start, on both sides)

    workspace = open_workspace()
    mix = workspace.mix[:num_rows]
    rows = ours.encode(workspace, mix)
    before = peak_memory_bytes()
    if side == "ours":
        params = workspace.params.train.model_copy(update={"epochs": 1, "precision": precision})
        ours.train(workspace, mix, params, checkpoint=checkpoint)
    else:
        trainer = published.PublishedTraining(
            checkpoint or workspace.teacher, workspace.codec.control, published.PublishedSettings()
        )
        trainer.train(rows)
    peak, threads = peak_memory_bytes(), torch.get_num_threads()
    return {"peak_bytes": peak, "before_bytes": before, "threads": threads}


def main(arguments: Sequence[str] | None = None) -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("side", choices=("ours", "published"))
    made.add_argument("--rows", type=int, required=True)
    made.add_argument("--checkpoint", type=Path)
    made.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    options = made.parse_args(arguments)
    with quiet_libraries():
        result = train(options.side, options.rows, options.checkpoint, options.precision)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
