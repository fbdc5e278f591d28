"""Accuracy, by hand."""

import pytest

from lamol_core.metrics.accuracy import Accuracy


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [
        ("  Card\tLost\n", "card lost", 1.0),
        ("cardlost", "card lost", 0.0),
        ("card lost.", "card lost", 0.0),
        ("", "card lost", 0.0),
    ],
)
def test_by_hand(prediction: str, target: str, expected: float) -> None:
    assert Accuracy().score(prediction, target) == pytest.approx(expected)
