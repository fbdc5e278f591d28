"""Whose rows a mix holds, and their order."""

from collections import Counter

from lamol_core.data.mixing import mix_rows
from lamol_core.records import Example
from tests.data.test_gate import sample

REAL = [Example(f"b/train/{i:06d}", "b", f"x{i}", "y", 40 + i) for i in range(30)]
PSEUDO = [sample(i, task, valid=i != 2) for task in ("a", "z") for i in range(5)]


def test_mix_holds_every_real_and_every_valid_pseudo_row_once() -> None:
    rows = mix_rows(REAL, PSEUDO, "b", seed=0)
    valid = [sample for sample in PSEUDO if sample.valid]
    assert [row.order for row in rows] == list(range(len(REAL) + len(valid)))
    new = {(r.row_id, r.source_task, r.label_idx_cil) for r in rows if r.origin == "new"}
    assert new == {(r.row_id, r.task, r.label_idx_cil) for r in REAL}
    drawn = {(r.row_id, r.source_task, r.label_idx_cil) for r in rows if r.origin == "pseudo"}
    assert drawn == {(s.row_id, s.source_task, -1) for s in valid}
    assert len(rows) == len(new) + len(drawn)


def test_order_depends_on_seed_and_task_alone() -> None:
    def ids(seed: int, task: str) -> list[str]:
        return [row.row_id for row in mix_rows(REAL, PSEUDO, task, seed)]

    assert ids(0, "b") == ids(0, "b")
    assert ids(0, "b") != ids(1, "b")
    assert ids(0, "b") != ids(0, "c")


def test_pseudo_rows_are_spread_over_the_mix() -> None:
    first_half = Counter(row.origin for row in mix_rows(REAL, PSEUDO, "b", 0)[:19])
    assert first_half["new"] > 0 and first_half["pseudo"] > 0
