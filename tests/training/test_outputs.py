"""A long log becomes a short curve that says the same."""

from __future__ import annotations

from lamol_core.training.outputs import MAX_POINTS, thin_curve


def row(step: int, **terms: float | None) -> dict:
    return {"step": step, "loss": 2.0, **terms, "grad_norm": 1.0, "seconds": 0.1}


def test_a_short_log_is_kept_as_it_is() -> None:
    assert thin_curve([row(0, ce_qa=1.0, kl_qa=None), row(1, ce_qa=0.5, kl_qa=0.25)]) == [
        {"step": 0, "loss": 2.0, "ce_qa": 1.0},
        {"step": 1, "loss": 2.0, "ce_qa": 0.5, "kl_qa": 0.25},
    ]


def test_neighbours_of_a_long_log_are_averaged() -> None:
    curve = thin_curve([row(step, ce_qa=float(step)) for step in range(10 * MAX_POINTS - 3)])
    assert len(curve) == MAX_POINTS
    assert curve[0] == {"step": 4.5, "loss": 2.0, "ce_qa": 4.5}
    assert curve[-1]["ce_qa"] == curve[-1]["step"] == 10 * MAX_POINTS - 7


def test_a_loss_of_zero_is_a_loss() -> None:
    (point,) = thin_curve([row(0, loss=0.0, ce_qa=0.0)])
    assert point == {"step": 0.0, "loss": 0.0}, "a term that is always zero took no part"
