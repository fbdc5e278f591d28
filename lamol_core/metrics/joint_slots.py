"""The metric `joint_slots`: whether two lists of slots hold the same values."""

from lamol_core.metrics.spec import Metric, plain

NO_SLOTS = "none"


class JointSlots(Metric):
    """1.0 where both lists `slot: value, slot: value` hold the same set of pairs, else 0.0.
    Order, case and spacing do not count. The text "none" is the empty set; an empty text is a
    different set. Wen et al. 2017 (WOZ 2.0), joint goal."""

    name = "joint_slots"

    def score(self, prediction: str, target: str) -> float:
        return float(_slots(prediction) == _slots(target))


def _slots(text: str) -> frozenset[tuple[str, str]]:
    if plain(text) == NO_SLOTS:
        return frozenset()
    # Pieces without a colon are kept as they are, so that a malformed list equals no proper one.
    pairs = (piece.partition(":") for piece in text.split(",") if piece.strip())
    found = frozenset((plain(slot), plain(value)) for slot, _, value in pairs)
    return found or frozenset({("", "")})
