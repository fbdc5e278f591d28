"""F1 of words, by hand."""

import pytest

from lamol_core.metrics.token_f1 import TokenF1


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [
        # common {cat, sat}: precision 2/2, recall 2/3
        ("The cat sat!", "cat sat down", 0.8),
        # a repeated word counts as often as both have it: 1 common of 3 and 1
        ("yes yes yes", "yes", 0.5),
        ("the", "", 1.0),
        ("dog", "", 0.0),
    ],
)
def test_by_hand(prediction: str, target: str, expected: float) -> None:
    assert TokenF1().score(prediction, target) == pytest.approx(expected)
