"""How much of the machine's matrix-product peak the training step achieves.

    python -m benchmarks.bench_limit [--rows 384] [--rounds 3] [--compile never always]

FLOP are 6 N D: N all parameters, D the student's tokens that are no padding (the teacher's pass is
work on top and not counted). The strict count takes the head at supervised tokens alone, which is
where it is computed, and nothing for looking up embeddings. The time is that of the second half of
an epoch's steps, so that compiling and first touches are over. Peaks are measured in each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import ours
from benchmarks.harness import Figure, emit, parser, quiet_libraries, say
from benchmarks.machine import matrix_flops
from benchmarks.workspace import Workspace, open_workspace

FIGURE_OF = {"never": "limit_eager", "always": "limit_compile"}


@dataclass(frozen=True)
class ModelSize:
    """Parameters that multiply at every token, and those of the head."""

    body: int
    head: int
    total: int


def achieved(
    workspace: Workspace, num_rows: int, compiled: str, size: ModelSize
) -> dict[str, float]:
    """FLOP/s by both counts, and tokens/s, over the second half of an epoch's steps."""
    params = workspace.params.train.model_copy(update={"epochs": 1, "compile": compiled})
    mix = workspace.mix[:num_rows]
    run = ours.train(workspace, mix, params)
    first = len(run.tokens) // 2
    assert first, "at least two steps are needed: raise --rows"
    seconds = run.step_ends_s[-1] - run.step_ends_s[first - 1]
    tokens = sum(run.tokens[first:])
    rows = ours.encode(workspace, mix)[first * params.batch_size :]
    supervised = sum(view.num_supervised for row in rows for view in row.views(("qa", "gen")))
    return {
        "flops": 6 * size.total * tokens / seconds,
        "strict_flops": 6 * (size.body * tokens + size.head * supervised) / seconds,
        "tokens_per_s": tokens / seconds,
    }


def measure_size(workspace: Workspace) -> ModelSize:
    from benchmarks import published

    model = published.load(workspace.teacher, dtype="auto")
    total = sum(weight.numel() for weight in model.parameters())
    table = sum(one.numel() for one in model.get_input_embeddings().parameters())
    tables = 1 if model.config.tie_word_embeddings else 2
    return ModelSize(total - tables * table, table, total)


def measure(num_rows: int, rounds: int, compiled: str) -> Figure:
    """Ours: achieved FLOP/s. Theirs: the peak in the format that training computes in."""
    import torch

    from lamol_core.models.precision import resolve_precision

    workspace = open_workspace()
    size = measure_size(workspace)
    precision = workspace.params.train.precision
    dtype = resolve_precision(precision, torch.device("cpu"))
    runs, peaks, other = [], [], []
    for number in range(rounds):
        peaks.append(matrix_flops(dtype))
        other.append(matrix_flops(torch.float32 if dtype != torch.float32 else torch.bfloat16))
        runs.append(achieved(workspace, num_rows, compiled, size))
        say(f"round {number + 1}/{rounds}: {runs[-1]['flops']:.4g} of {peaks[-1]:.4g} FLOP/s")
    peak = median(peaks)
    strict = median(run["strict_flops"] for run in runs)
    is_fp32 = dtype == torch.float32
    details = {
        "rows": num_rows,
        "compute_dtype": str(dtype),
        "parameters": size.total,
        "tokens_per_s": round(median(run["tokens_per_s"] for run in runs), 1),
        "strict_tflops": round(strict / 1e12, 4),
        "strict_share": round(strict / peak, 4),
        "fp32_tflops": round(median(peaks if is_fp32 else other) / 1e12, 4),
        "bf16_tflops": round(median(other if is_fp32 else peaks) / 1e12, 4),
    }
    return Figure(
        FIGURE_OF[compiled],
        "TFLOP/s, ratio is the share of the peak",
        [run["flops"] / 1e12 for run in runs],
        [one / 1e12 for one in peaks],
        details,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__, rows=384)
    made.add_argument("--compile", nargs="+", choices=("never", "always"), default=["never"])
    options = made.parse_args(arguments)
    with quiet_libraries():
        emit([measure(options.rows, options.rounds, one) for one in options.compile])


if __name__ == "__main__":
    main()
