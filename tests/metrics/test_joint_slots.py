"""Lists of slots, by hand."""

import pytest

from lamol_core.metrics.joint_slots import JointSlots


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [
        ("request: phone,AREA :East", "area: east, request: phone", 1.0),
        ("area: east, area: east", "area: east", 1.0),
        ("area: east", "area: east, request: phone", 0.0),
        ("price  range: cheap,", "price range: cheap", 1.0),
        ("request: phone, request: address", "request: phone", 0.0),
        ("food: east", "area: east", 0.0),
        (" None", "none", 1.0),
        ("", "none", 0.0),
        (",", "none", 0.0),
        ("none", "area: east", 0.0),
        ("none, area: east", "area: east", 0.0),
        ("area east", "area: east", 0.0),
    ],
)
def test_by_hand(prediction: str, target: str, expected: float) -> None:
    assert JointSlots().score(prediction, target) == pytest.approx(expected)
