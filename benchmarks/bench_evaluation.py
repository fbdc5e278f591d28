"""Evaluated test rows a second, against the published procedure and `generate()` at its best.

python -m benchmarks.bench_evaluation [--rows 480] [--published-rows 64] [--rounds 3]
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


def measure(
    num_rows: int,
    num_published: int,
    rounds: int,
    batch_size: int | None,
    precisions: Sequence[Precision],
) -> list[Figure]:
    """Three sides in turn: ours, published (fp32), `generate()` in our precision."""
    workspace = open_workspace()
    params = workspace.params
    settings = published.PublishedSettings()
    control = workspace.codec.control
    texts = [row.input for row in workspace.test[:num_rows]]
    prompts = [(*ids, control.ans) for ids in workspace.codec.encode(texts)]
    reference = published.load(workspace.teacher)
    peer = GeneratePeer(workspace, precisions)
    choice = Choice(batch_size, precisions[0]) if batch_size else peer.best_for_answers(prompts)
    accuracies: list[float] = []

    def as_ours() -> float:
        rate, accuracy = ours.evaluate(workspace, num_rows, params.evaluate)
        accuracies.append(accuracy)
        return rate

    def as_published() -> int:
        answers = published.answer(
            reference, control, prompts[:num_published],
            batch_size=settings.evaluate_batch_size,
            max_new_tokens=params.evaluate.max_target_tokens,
        )  # fmt: skip
        return len(answers)

    ours.evaluate(workspace, 8, params.evaluate)
    sides = {
        "ours": as_ours,
        "published": per_second(as_published),
        "generate": lambda: peer.answer(prompts, choice),
    }
    figures = take_turns(sides, rounds)
    shared = {"rows": len(prompts), "published_rows": min(num_published, len(prompts)),
              "accuracy_on_the_learnt_task": accuracies[0]}  # fmt: skip
    return [
        compare("evaluation_published", "rows/s", figures, "published", details=shared),
        compare("evaluation_generate", "rows/s", figures, "generate",
                details={**shared, "theirs": f"generate(), {choice}"}),
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__, rows=480)
    made.add_argument("--published-rows", type=int, default=64)
    add_generate_options(made)
    options = made.parse_args(arguments)
    with quiet_libraries():
        emit(
            measure(
                options.rows,
                options.published_rows,
                options.rounds,
                options.batch_size,
                options.precision,
            )
        )


if __name__ == "__main__":
    main()
