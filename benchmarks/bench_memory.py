"""Peak memory of training: against the published procedure, and when the vocabulary doubles.

    python -m benchmarks.bench_memory [--rows 96] [--published-rows 12] [--rounds 3]

Every measurement is the peak resident memory (ru_maxrss) of a process of its own, with imports.
Here a ratio below 1 is in our favour. `memory_vocabulary`: ours is what the peak grew by, theirs
the bytes of the new rows of embedding, gradient, Adam's two moments, the masters' lower
halves in bf16 and the teacher's head. `logits_matrix_bytes` is what a (tokens x vocabulary)
matrix would have added.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    Figure,
    Round,
    compare,
    emit,
    parser,
    quiet_libraries,
    run_child,
    take_turns,
)
from benchmarks.workspace import Workspace, open_workspace


def peak(side: str, num_rows: int, precision: str, checkpoint: Path | None = None) -> float:
    """Bytes, of a child process."""
    where = ["--checkpoint", str(checkpoint)] if checkpoint else []
    result = run_child(
        "benchmarks.memory_child", side, "--rows", str(num_rows), "--precision", precision, *where
    )
    return float(result["peak_bytes"])


def against_published(num_rows: int, num_published: int, precision: str, rounds: int) -> Figure:
    measured = take_turns(
        {
            "ours": lambda: peak("ours", num_rows, precision),
            "published": lambda: peak("published", num_published, "fp32"),
        },
        rounds,
    )
    return compare(
        "memory_train", "peak bytes, less is better", measured, "published",
        details={"rows": num_rows, "published_rows": num_published, "precision": precision},
    )  # fmt: skip


def doubled_vocabulary(workspace: Workspace, num_rows: int, precision: str, rounds: int) -> Figure:
    """The same model with twice the embedding rows, against itself."""
    checkpoint, added, width, tied = double_vocabulary(workspace)
    measured = take_turns(
        {
            "single": lambda: peak("ours", num_rows, precision),
            "double": lambda: peak("ours", num_rows, precision, checkpoint),
        },
        rounds,
    )
    tables = 1 if tied else 2
    a_row = bytes_of_a_parameter(precision) * width * tables
    teacher_row = stored_bytes(precision) * width * tables
    growth: list[Round] = [
        {"growth": one["double"] - one["single"], "rows": float(added * (a_row + teacher_row))}
        for one in measured
    ]
    details = {
        "rows": num_rows,
        "added_vocabulary": added,
        "bytes_a_vocabulary_row": a_row + teacher_row,
        "of_which_teacher": teacher_row,
        "logits_matrix_bytes": 4 * added * workspace.params.train.micro_batch_tokens,
        "single_bytes": [one["single"] for one in measured],
        "double_bytes": [one["double"] for one in measured],
    }
    return compare(
        "memory_vocabulary", "bytes of growth against bytes of rows", growth, "rows",
        ours="growth", details=details,
    )  # fmt: skip


def double_vocabulary(workspace: Workspace) -> tuple[Path, int, int, bool]:
    """A copy of the teacher with twice the vocabulary: folder, rows added, width, tied or not."""
    from benchmarks import published
    from lamol_core.artifacts.manifest import Provenance
    from lamol_core.models.checkpoints import save_checkpoint

    model = published.load(workspace.teacher, dtype="auto")
    (table,) = model.get_input_embeddings().parameters()
    rows, width = table.shape
    folder = workspace.folder / "doubled"
    shutil.rmtree(folder, ignore_errors=True)
    model.resize_token_embeddings(2 * rows, mean_resizing=False)
    provenance = Provenance({"vocabulary": 2 * rows}, {})
    save_checkpoint(folder, model, provenance, tokenizer_from=workspace.teacher)
    return folder, rows, width, bool(model.config.tie_word_embeddings)


def bytes_of_a_parameter(precision: str) -> int:
    """Weight, gradient and Adam's moments; with bf16 what its master has more besides."""
    return 2 + 2 + 2 + 8 if stored_bytes(precision) == 2 else 4 + 4 + 8


def stored_bytes(precision: str) -> int:
    import torch

    from lamol_core.models.precision import resolve_precision

    dtype = resolve_precision(precision, torch.device("cpu"))  # type: ignore[arg-type]
    return 2 if dtype == torch.bfloat16 else 4


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__, rows=96)
    made.add_argument("--published-rows", type=int, default=12)
    made.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    made.add_argument("--only", choices=("train", "vocabulary"))
    options = made.parse_args(arguments)
    workspace = open_workspace()
    figures = []
    with quiet_libraries():
        if options.only != "vocabulary":
            figures.append(
                against_published(
                    options.rows, options.published_rows, options.precision, options.rounds
                )
            )
        if options.only != "train":
            figures.append(
                doubled_vocabulary(workspace, options.rows, options.precision, options.rounds)
            )
    emit(figures)


if __name__ == "__main__":
    main()
