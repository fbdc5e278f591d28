"""KD-training rows a second, against the published procedure and, on pseudo rows alone, TRL.

    python -m benchmarks.bench_training [--rows 384] [--published-rows 64] [--peer-rows 256]

Ours is all of `train_from_checkpoint` but the loading of models: the teacher's pass counts. A row
is both of its views, on every side. TRL has our precision, its best batch size and attention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

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
from benchmarks.peers import Choice, Precision, TrlPeer
from benchmarks.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from lamol_core.training.params import TrainParams


def against_published(
    workspace: Workspace, params: TrainParams, num_rows: int, num_published: int, rounds: int
) -> Figure:
    """One epoch over mixed rows, gamma 0.2."""
    mix = workspace.mix[:num_rows]
    theirs = ours.encode(workspace, workspace.mix[:num_published])
    trainer = published.PublishedTraining(
        workspace.teacher, workspace.codec.control, published.PublishedSettings()
    )
    trainer.train(theirs[:8])
    sides: dict[str, Callable[[], float]] = {
        "ours": lambda: ours.train(workspace, mix, params).rows_per_s,
        "published": per_second(lambda: trainer.train(theirs)),
    }
    share = sum(row.origin == "pseudo" for row in mix) / len(mix)
    return compare(
        "training_published", "rows/s", take_turns(sides, rounds), "published",
        details={"rows": len(mix), "published_rows": len(theirs),
                 "pseudo_share": round(share, 3), "precision": params.precision},
    )  # fmt: skip


def against_trl(
    workspace: Workspace,
    params: TrainParams,
    num_rows: int,
    rounds: int,
    batch_size: int | None,
    attention: str,
) -> Figure:
    """One epoch of distillation over pseudo rows, same precision."""
    import torch

    from lamol_core.models.precision import resolve_precision

    pseudo = workspace.many_pseudo[:num_rows]
    mix = ours.mix_of_pseudo(pseudo)
    dtype = resolve_precision(params.precision, torch.device("cpu"))
    precision: Precision = "bf16" if dtype == torch.bfloat16 else "fp32"
    peer = TrlPeer(workspace, ours.encode(workspace, mix, pseudo))
    choice = Choice(batch_size, precision, attention) if batch_size else peer.best(precision)
    sides: dict[str, Callable[[], float]] = {
        "ours": lambda: ours.train(workspace, mix, params, pseudo=pseudo).rows_per_s,
        "trl": lambda: peer.train(choice),
    }
    return compare(
        "training_peer", "rows/s", take_turns(sides, rounds), "trl",
        details={"rows": len(pseudo), "theirs": f"GKDTrainer, {choice}"},
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__, rows=384)
    made.add_argument("--published-rows", type=int, default=64)
    made.add_argument("--peer-rows", type=int, default=256)
    made.add_argument("--epochs", type=int, default=1, help="of ours; the others do one")
    made.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    made.add_argument("--batch-size", type=int, help="of TRL; default: the best is sought")
    made.add_argument("--attention", default="sdpa", help="of TRL, with --batch-size")
    made.add_argument("--only", choices=("published", "peer"))
    options = made.parse_args(arguments)
    workspace = open_workspace()
    params = workspace.params.train.model_copy(
        update={"epochs": options.epochs, "precision": options.precision}
    )
    figures = []
    with quiet_libraries():
        if options.only != "peer":
            figures.append(
                against_published(
                    workspace, params, options.rows, options.published_rows, options.rounds
                )
            )
        if options.only != "published":
            figures.append(
                against_trl(
                    workspace,
                    params,
                    options.peer_rows,
                    options.rounds,
                    options.batch_size,
                    options.attention,
                )
            )
    emit(figures)


if __name__ == "__main__":
    main()
