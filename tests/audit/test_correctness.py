"""The check of each row: planted wrong rows are found, and right rows pass."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.templated import SENTENCES, is_right
from lamol_core.audit.checks.correctness import Correctness
from lamol_core.audit.quality.planting import planted
from lamol_core.audit.quality.signals import rather_than_another
from lamol_core.audit.spec import Audited, Finding
from lamol_core.config.section import Section
from lamol_core.models.discriminant import LabelOf
from tests.audit.corpus import clean, table_of

HAND_LABELS = Path(__file__).parent / "hand_labels.csv"
FOREIGN = ["where is my parcel", "a parcel for the tall man"]
Rows = Sequence[tuple[str, str]]


def of_templates(task: str, pseudo: Rows) -> Audited:
    """A table of one templated task: a third of its sentences held out, all others for training."""
    rows = sorted(SENTENCES[task])
    random.Random(0).shuffle(rows)
    cut = len(rows) // 3
    return table_of(rows[cut:], rows[:cut], pseudo)


def test_a_row_is_right_where_its_label_is_the_likeliest_of_many() -> None:
    """A share of 0.4 is more than those of all others."""
    shares = [[0.4, 0.3, 0.3], [0.3, 0.4, 0.3], [1.0, 0.0, 0.0]]
    distances = -2 * torch.tensor(shares).clamp_min(1e-300).double().log()
    learnt = SimpleNamespace(classes=[LabelOf("t", label) for label in "abc"])
    judge: Any = SimpleNamespace(learnt=learnt, distances=lambda texts: distances)
    first, second, unknown = rather_than_another(judge, "t", [("x", "a"), ("x", "a"), ("x", "?")])
    assert first == pytest.approx(0.4 / 0.7) and second == pytest.approx(0.3 / 0.7)
    assert unknown < 1e-8


def found_in(audited: Audited) -> Finding:
    return Correctness().run(audited, Section())


@pytest.mark.parametrize("task", ["capitals", "colours", "intents"])
def test_right_rows_pass_and_planted_ones_are_found(task: str) -> None:
    rng = random.Random(1)
    right = rng.sample(sorted(SENTENCES[task]), 60)
    wrong = [row for _, row in planted(right[:20], FOREIGN, rng) if not is_right(task, *row)]
    audited = of_templates(task, [*right, *wrong])
    called_wrong = {flag.row_id for flag in found_in(audited).flags}
    said = [row.row_id in called_wrong for row in audited.kept]
    assert sum(said[:60]) <= 6, "at most a tenth of the right rows"
    assert sum(said[60:]) >= 0.75 * len(wrong)


def test_a_table_of_mixtures_fails_and_a_right_one_has_no_excess() -> None:
    right = sorted(SENTENCES["capitals"])[::3]
    mixed = [(f"{a[0]} {b[0]}", c[1]) for a, b, c in zip(right, right[5:], right[9:], strict=False)]
    for rows, low, high in ((right, 0.0, 0.1), (mixed, 0.6, 1.0)):
        excess = found_in(of_templates("capitals", rows)).figures["wrong_excess"]
        assert excess is not None and low <= excess <= high


def test_without_real_rows_nothing_is_judged() -> None:
    (task,) = clean().tasks
    audited = replace(clean(), tasks=[replace(task, train=[], held_out=[], forgotten_on="today")])
    finding = found_in(audited)
    assert finding.figures.get("wrong_excess") is None and not finding.flags


def test_short_rows_of_one_label_cannot_be_judged() -> None:
    """No wrong row can be made of them."""
    rows = [(f"number {i}", "yes") for i in range(60)]
    finding = found_in(table_of(rows[20:], rows[:20], rows[:30]))
    assert finding.figures.get("wrong_excess") is None and not finding.flags


def test_planted_rows_differ_from_the_rows_that_they_are_made_of() -> None:
    rows = [(row.input, row.target) for row in clean().tasks[0].train[:30]]
    made = list(planted(rows, FOREIGN, random.Random(0)))
    assert {kind for kind, _ in made} >= {"swapped", "mixed", "shuffled", "cut", "foreign"}
    assert not {row for _, row in made} & set(rows)
    assert made == list(planted(rows, FOREIGN, random.Random(0)))


def test_hand_labels_are_of_both_kinds_and_several_amounts_of_training() -> None:
    with HAND_LABELS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 200 and {row["right"] for row in rows} == {"0", "1"}
    assert len({row["steps"] for row in rows}) >= 4
