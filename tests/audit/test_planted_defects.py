"""Each planted defect is found by its check; a clean table passes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from lamol_core.audit.spec import Audited
from lamol_core.records import PseudoSample, to_history
from tests.audit.corpus import LABELS, clean, sentence, texts_of, with_rows
from tests.audit.defects import PLANTED, audit, edited, flagged, of_few_words, verbatim, with_turn


def lightly_edited(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {
        i: edited(task.drawn[i], task.train[i].input.replace(" and the ", " or the "))
        for i in PLANTED
    }


def copied_in_an_earlier_turn(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {i: with_turn(task.drawn[i], task.train[i].input) for i in PLANTED}


def edited_turn(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    row = with_turn(task.drawn[30], "hello")
    return {30: replace(row, history=to_history([("hello", "something else")]))}


def personal_turn(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {i: with_turn(task.drawn[i], "hello", "mail jo.doe@example.org") for i in (20, 21)}


def duplicates(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {i: edited(task.drawn[i], task.drawn[3].input.upper()) for i in range(20, 80)}


def wrong_labels(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {i: edited(task.drawn[i], task.drawn[i].input, "weather") for i in PLANTED}


def personal(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    found = (
        "mail jo.doe@example.org", "ring +1 650 253 0000", "card 4111 1111 1111 1111",
        "iban de89 3704 0044 0532 0130 00 please", "host 192.168.0.17", "key AKIAABCDEFGHIJKLMNOP",
        "card 4111 1111 1111 1111 12/25", "mail jo\uff20exam\u200bple.org",
    )  # fmt: skip
    return {
        20 + i: edited(task.drawn[20 + i], f"{sentence(chooser)} {text}")
        for i, text in enumerate(found)
    }


def edited_row(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {30: replace(task.drawn[30], input="something else")}


def edited_target(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    other = next(label for label in LABELS if label != task.drawn[30].target)
    return {30: replace(task.drawn[30], target=other)}


def foreign_teacher(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {i: replace(task.drawn[i], teacher_sha256="0" * 64) for i in PLANTED}


def foreign_seed(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {31: replace(task.drawn[31], seed=1)}


def repeated_id(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    again = replace(task.drawn[31], row_id=task.drawn[30].row_id)
    return {30: task.drawn[30], 31: again}


def collapsed(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {i: edited(row, task.drawn[0].input) for i, row in enumerate(task.drawn)}


DEFECTS = {
    verbatim: "memorisation",
    lightly_edited: "memorisation",
    copied_in_an_earlier_turn: "memorisation",
    edited_turn: "provenance",
    personal_turn: "personal_data",
    duplicates: "copies",
    wrong_labels: "faithfulness",
    personal: "personal_data",
    edited_row: "provenance",
    edited_target: "provenance",
    foreign_teacher: "provenance",
    foreign_seed: "provenance",
    repeated_id: "provenance",
    collapsed: "copies",
}


@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_found(plant: Callable) -> None:
    audited = clean()
    if plant is copied_in_an_earlier_turn:
        (task,) = audited.tasks
        facts = replace(task.facts, num_answers={1: 180, 2: 20})
        audited = replace(audited, tasks=[replace(task, facts=facts)])
    rows = plant(audited, random.Random(1))
    result = audit(with_rows(audited, rows))
    check = DEFECTS[plant]
    verdicts = {finding.check: finding.verdict for finding in result.findings}
    assert verdicts[check] != "pass", result.as_dict()["checks"][check]
    wanted = set(rows) - {0} if plant is collapsed else set(rows)
    wanted -= {31} if plant is repeated_id else set()
    assert flagged(result, check) == wanted
    if plant is collapsed:
        assert {verdicts[name] for name in ("copies", "variety")} == {"fail"}
    elif plant is not duplicates:  # which are no variety either
        assert {name for name, verdict in verdicts.items() if verdict != "pass"} == {check}


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_table_passes(seed: int) -> None:
    result = audit(clean(seed=seed))
    assert result.verdict == "pass", result.as_dict()
    assert all(flag.check == "correctness" for flag in result.flags)
    assert len(result.flags) < 0.2 * len(texts_of(clean(seed=seed)))


def uneven(audited: Audited) -> Audited:
    (task,) = audited.tasks
    rows = {i: edited(row, row.input, LABELS[0]) for i, row in enumerate(task.drawn) if i % 5}
    return with_rows(audited, rows)


def longer(audited: Audited) -> Audited:
    (task,) = audited.tasks
    chooser = random.Random(0)
    rows = {
        i: edited(row, f"{row.input} and {sentence(chooser)}") for i, row in enumerate(task.drawn)
    }
    return with_rows(audited, rows)


@pytest.mark.parametrize(
    ("spoil", "check", "figure", "least"),
    [
        (uneven, "faithfulness", "label_variation_excess", 0.4),
        (longer, "faithfulness", "length_excess", 0.4),
        (of_few_words, "variety", "self_bleu_excess", 8.0),
    ],
)
def test_what_is_wrong_with_a_table_at_large_is_found(
    spoil: Callable[[Audited], Audited], check: str, figure: str, least: float
) -> None:
    before, after = audit(clean()), audit(spoil(clean()))
    (was,) = [finding for finding in before.findings if finding.check == check]
    (found,) = [finding for finding in after.findings if finding.check == check]
    assert (was.figures[figure] or 0.0) < 0.1 * least < least < (found.figures[figure] or 0.0)
    assert found.verdict != "pass"
