"""Pseudo-samples a second, against the published procedure and `generate()` at its best.

    python -m benchmarks.bench_sampling [--rows 512] [--published-rows 64] [--rounds 3]

Ours counts valid rows, the others every row they write, valid or not.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import ours, published
from benchmarks.harness import (
    Figure,
    compare,
    emit,
    parser,
    per_second,
    quiet_libraries,
    take_turns,
)
from benchmarks.peers import Choice, GeneratePeer, Precision, add_generate_options
from benchmarks.workspace import open_workspace

SEARCH_ROWS = 256
"""Of the search for the best of `generate()`: as many as its largest batch."""


def measure(
    num_rows: int,
    num_published: int,
    rounds: int,
    batch_size: int | None,
    precisions: Sequence[Precision],
    ours_batch: int | None,
) -> list[Figure]:
    """Three sides in turn: ours, published (fp32), `generate()` in our precision."""
    import torch

    workspace = open_workspace()
    params = workspace.params
    generate = params.generate
    if ours_batch is not None:
        generate = generate.model_copy(update={"batch_size": ours_batch})
    settings = published.PublishedSettings()
    control = workspace.codec.control
    reference = published.load(workspace.teacher)
    peer = GeneratePeer(workspace, precisions)
    choice = (
        Choice(batch_size, precisions[0])
        if batch_size
        else peer.best_for_sampling(min(num_rows, SEARCH_ROWS))
    )
    torch.manual_seed(0)
    written: list[list[int]] = []

    def as_published() -> float:
        def work() -> int:
            samples = published.sample(
                reference, control, control.gen_for(0, True), num_published,
                batch_size=settings.sample_batch_size, topk=settings.topk,
                max_new_tokens=settings.max_length - 1,
            )  # fmt: skip
            written.extend(samples)
            return len(samples)

        return per_second(work)()

    ours.draw(workspace, 8, generate, seed=0)
    sides = {
        "ours": lambda: ours.draw(workspace, num_rows, generate, seed=1),
        "published": as_published,
        "generate": lambda: peer.sample(num_rows, choice),
    }
    figures = take_turns(sides, rounds)
    unit = "pseudo-samples/s"
    tokens = sum(map(len, written)) / max(len(written), 1)
    shared = {"rows": num_rows, "published_rows": num_published, "ours_batch": generate.batch_size}
    return [
        compare("sampling_published", unit, figures, "published",
                details={**shared, "published_tokens_a_row": round(tokens, 1)}),
        compare("sampling_generate", unit, figures, "generate",
                details={**shared, "theirs": f"generate(), {choice}"}),
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__, rows=512)
    made.add_argument("--published-rows", type=int, default=64)
    add_generate_options(made)
    made.add_argument("--ours-batch", type=int, help="ours; default: params.yaml's")
    options = made.parse_args(arguments)
    with quiet_libraries():
        figures = measure(
            options.rows,
            options.published_rows,
            options.rounds,
            options.batch_size,
            options.precision,
            options.ours_batch,
        )
    emit(figures)


if __name__ == "__main__":
    main()
