"""Scores of every metric, computed by hand."""

import pytest

from lamol_core.metrics.registry import score_rows


@pytest.mark.parametrize(
    ("metric", "prediction", "target", "expected"),
    [
        ("accuracy", "  Card\tLost\n", "card lost", 1.0),
        ("accuracy", "cardlost", "card lost", 0.0),
        ("accuracy", "card lost.", "card lost", 0.0),
        ("accuracy", "", "card lost", 0.0),
        ("joint_slots", "request: phone,AREA :East", "area: east, request: phone", 1.0),
        ("joint_slots", "area: east, area: east", "area: east", 1.0),
        ("joint_slots", "area: east", "area: east, request: phone", 0.0),
        ("joint_slots", "price  range: cheap,", "price range: cheap", 1.0),
        ("joint_slots", "request: phone, request: address", "request: phone", 0.0),
        ("joint_slots", "food: east", "area: east", 0.0),
        ("joint_slots", " None", "none", 1.0),
        ("joint_slots", "", "none", 0.0),
        ("joint_slots", ",", "none", 0.0),
        ("joint_slots", "none", "area: east", 0.0),
        ("joint_slots", "none, area: east", "area: east", 0.0),
        ("joint_slots", "area east", "area: east", 0.0),
        # common subsequence "police killed" of 3 and 4 words: 2 * 2 / 7
        ("rouge_l", "police killed gunman", "police have killed him", 4 / 7),
        # order counts: of "b a" and "a b" one word is common
        ("rouge_l", "b a", "a b", 0.5),
        ("rouge_l", "Über, alles", "über alles", 1.0),
        ("rouge_l", "", "word", 0.0),
        # common {cat, sat}: precision 2/2, recall 2/3
        ("token_f1", "The cat sat!", "cat sat down", 0.8),
        # a repeated word counts as often as both have it: 1 common of 3 and 1
        ("token_f1", "yes yes yes", "yes", 0.5),
        ("token_f1", "the", "", 1.0),
        ("token_f1", "dog", "", 0.0),
    ],
)
def test_by_hand(metric: str, prediction: str, target: str, expected: float) -> None:
    assert score_rows(metric, [prediction], [target]) == [pytest.approx(expected)]
