"""ROUGE-L, by hand."""

import pytest

from lamol_core.metrics.rouge_l import RougeL


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [
        # common subsequence "police killed" of 3 and 4 words: 2 * 2 / 7
        ("police killed gunman", "police have killed him", 4 / 7),
        # order counts: of "b a" and "a b" one word is common
        ("b a", "a b", 0.5),
        ("Über, alles", "über alles", 1.0),
        ("", "word", 0.0),
    ],
)
def test_by_hand(prediction: str, target: str, expected: float) -> None:
    assert RougeL().score(prediction, target) == pytest.approx(expected)
