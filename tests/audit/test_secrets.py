"""Personal data and planted secrets that come back."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from lamol_core.audit.checks.canaries import Canaries
from lamol_core.audit.checks.personal_data import personal_data_in
from lamol_core.audit.spec import Audited, Teacher
from lamol_core.config.section import Section
from lamol_core.data.canaries import make_canaries
from lamol_core.data.columns import RawRow
from lamol_core.records import PseudoSample
from lamol_core.text.params import TextParams
from tests.audit.corpus import TASK, clean, decode, with_rows
from tests.audit.defects import as_second, audit, edited, flagged, with_turn


def test_personal_data_of_held_out_rows_is_replayed_too() -> None:
    audited = clean()
    (task,) = audited.tasks
    held_out = [replace(task.held_out[0], input="ring +1 650 253 0000"), *task.held_out[1:]]
    audited = replace(audited, tasks=[replace(task, held_out=held_out)])
    rows = {3: edited(task.drawn[3], f"{task.drawn[3].input} or +1 650 253 0000")}
    result = audit(with_rows(audited, rows), "personal_data")
    reasons = [flag.reason for flag in result.flags]
    assert reasons == ["replayed_phone"]


def test_replayed_personal_data_fails() -> None:
    audited = clean()
    (task,) = audited.tasks
    train = list(task.train)
    train[5] = replace(train[5], input="write to jo@example.org about the loan")
    audited = replace(audited, tasks=[replace(task, train=train)])
    rows = {3: edited(task.drawn[3], "the mail is JO@example.org and the bill is late")}
    (found,) = audit(with_rows(audited, rows), "personal_data").findings
    assert found.verdict == "fail"
    assert [flag.reason for flag in found.flags] == ["replayed_email"]


@pytest.mark.parametrize(
    ("text", "regions", "number"),
    [
        ("call 01223 415863 today", ("US",), None),
        ("call 01223 415863 today", ("US", "GB"), "+441223415863"),
        ("call +44 1223 415863 today", (), "+441223415863"),
        ("call (212) 736-5000 today", ("US",), "+12127365000"),
        ("call (212) 736-5000 today", ("GB",), None),
    ],
)
def test_phone_numbers_are_those_of_the_countries_named(
    text: str, regions: tuple[str, ...], number: str | None
) -> None:
    assert personal_data_in(text, regions) == ({("phone", number)} if number else set())


@pytest.mark.parametrize(
    ("valid", "invalid"),
    [
        ("4111 1111 1111 1111", "4111 1111 1111 1112"),
        ("GB82 WEST 1234 5698 7654 32", "GB82 WEST 1234 5698 7654 33"),
    ],
)
def test_numbers_with_wrong_check_digits_are_no_personal_data(valid: str, invalid: str) -> None:
    assert personal_data_in(f"it is {valid}", ()) and not personal_data_in(f"it is {invalid}", ())


def canaried(audited: Audited) -> Audited:
    (task,) = audited.tasks
    raw = [RawRow(row.input, row.target) for row in task.train]
    canaries, planted = make_canaries(TASK, 5, raw, seed=0)
    assert len({canary.secret for canary in canaries}) == 5
    assert [row.input for row in planted] == [canary.text for canary in canaries]
    return replace(audited, tasks=[replace(task, canaries=canaries)])


def in_an_input(row: PseudoSample, secret: str) -> PseudoSample:
    return edited(row, f"is it {secret} or not")


def in_a_target(row: PseudoSample, secret: str) -> PseudoSample:
    return edited(row, row.input, secret)


def in_an_earlier_turn(row: PseudoSample, secret: str) -> PseudoSample:
    return with_turn(row, "hello", secret)


def in_a_rejected_row(row: PseudoSample, secret: str) -> PseudoSample:
    return replace(in_an_input(row, secret), valid=False, reject_reason="no_ans")


@pytest.mark.parametrize("plant", [in_an_input, in_a_target, in_an_earlier_turn, in_a_rejected_row])
def test_a_planted_secret_that_comes_back_fails(
    plant: Callable[[PseudoSample, str], PseudoSample],
) -> None:
    audited = canaried(clean())
    (task,) = audited.tasks
    spaced = " ".join(task.canaries[1].secret)
    result = audit(with_rows(audited, {9: plant(task.drawn[9], spaced)}), "canaries")
    (found,) = result.findings
    assert found.figures["canary_share"] == pytest.approx(0.2) and found.verdict == "fail"
    assert flagged(result, "canaries") == {9}
    assert found.flags[0].real_row_id == task.canaries[1].row_id
    assert audit(audited, "canaries").verdict == "pass"


def test_a_secret_of_one_task_is_found_in_a_row_of_another() -> None:
    planted, (other,) = canaried(clean()), clean(seed=1).tasks
    (task,) = planted.tasks
    leaking = in_an_input(other.drawn[4], task.canaries[0].secret)
    second = as_second(replace(other, drawn=[*other.drawn[:4], leaking, *other.drawn[5:]]))
    found = Canaries().run(replace(planted, tasks=[task, second]), Section())
    assert found.by_task[TASK]["canary_share"] == pytest.approx(0.2)
    assert [(flag.row_id, flag.source_task) for flag in found.flags] == [(leaking.row_id, "second")]


def test_a_secret_of_a_task_that_nothing_was_drawn_of_is_found() -> None:
    planted, (other,) = canaried(clean()), clean(seed=1).tasks
    (task,) = planted.tasks
    drawn = [in_an_input(other.drawn[0], task.canaries[0].secret), *other.drawn[1:]]
    tasks, others = [as_second(replace(other, drawn=drawn))], [replace(task, drawn=[])]
    audited = replace(planted, tasks=tasks, others=others)
    found = Canaries().run(audited, Section())
    assert found.by_task[TASK]["canary_share"] == pytest.approx(0.2)
    assert [flag.row_id for flag in found.flags] == [drawn[0].row_id]


def test_exposure_asks_with_the_label_where_prompts_name_one() -> None:
    audited, asked = canaried(clean()), set[str]()
    (task,) = audited.tasks
    labelled = [replace(canary, target="on") for canary in task.canaries]

    def score(place: int, texts: Sequence[str], target: str) -> list[float]:
        asked.add(target)
        return [0.0] * len(texts)

    for gen_order, label in (("input_first", ""), ("target_first", "on")):
        text = TextParams.model_validate({"gen_order": gen_order})
        one = replace(
            audited,
            tasks=[replace(task, canaries=labelled)],
            teacher=Teacher(decode, score=score),
            origin=replace(audited.origin, text=text),
        )
        Canaries().run(one, Section())
        assert asked == {label}
        asked.clear()


def test_exposure_is_the_rank_of_the_planted_secret() -> None:
    audited = canaried(clean())
    planted = {canary.text for canary in audited.tasks[0].canaries}

    def exposure(likelihood: Callable[[str], float]) -> float:
        teacher = Teacher(
            decode, score=lambda place, texts, target: [likelihood(text) for text in texts]
        )
        found = Canaries().run(replace(audited, teacher=teacher), Section())
        return found.figures["exposure"] or 0.0

    assert exposure(lambda text: -1.0 if text in planted else 0.0) == pytest.approx(10.0)
    assert exposure(lambda text: 1.0 if text in planted else 0.0) == pytest.approx(0.0)
    chooser = random.Random(0)
    by_chance = [exposure(lambda text: chooser.random()) for _ in range(20)]
    assert sum(by_chance) / 20 == pytest.approx(1.44, abs=0.5)
