"""Planted defects are found, and only they; clean tables pass."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lamol_core.audit.checks.canaries import Canaries
from lamol_core.audit.checks.drift import Drift
from lamol_core.audit.checks.faithfulness import Faithfulness
from lamol_core.audit.checks.memorisation import HEADLINES, Memorisation
from lamol_core.audit.checks.personal_data import personal_data_in
from lamol_core.audit.checks.validity import Validity
from lamol_core.audit.figures import pooled
from lamol_core.audit.memorisation.permutation import pooled_excesses
from lamol_core.audit.memorisation.row_overlap import AgainstRows
from lamol_core.audit.params import AuditParams
from lamol_core.audit.spec import Audited, SampledTask, Teacher
from lamol_core.audit.verdicts import Audit, judge, run_checks
from lamol_core.config.section import Section
from lamol_core.data.canaries import make_canaries
from lamol_core.data.columns import RawRow
from lamol_core.privacy.fingerprinting import fingerprint_of
from lamol_core.records import PseudoSample
from lamol_core.text.params import TextParams
from tests.audit.corpus import (
    LABELS,
    SEED,
    TASK,
    clean,
    decode,
    encode,
    sample,
    sentence,
    table_of,
    with_rows,
)
from tests.messages import names, names_in_order

PLANTED = range(20, 40)
"""A tenth of the rows."""


def audit(audited: Audited, asked: Callable[[Sequence[PseudoSample]], list[str]] | None = None):
    return run_checks(replace(audited, teacher=Teacher(decode, asked)), AuditParams())


def flagged(result: Audit, check: str) -> set[int]:
    return {int(flag.row_id[-8:-2]) for flag in result.flags if flag.check == check}


def edited(row: PseudoSample, text: str, label: str | None = None) -> PseudoSample:
    return sample(row.gen_index, text, label or row.target)


def verbatim(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {i: edited(task.drawn[i], task.train[i].input) for i in PLANTED}


def lightly_edited(audited: Audited, chooser: random.Random) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {
        i: edited(task.drawn[i], task.train[i].input.replace(" and the ", " or the "))
        for i in PLANTED
    }


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
    assert not result.flags


@pytest.mark.parametrize("held_out", [200, 86, 40])
def test_memory_is_found_however_few_rows_were_held_out(held_out: int) -> None:
    audited = clean()
    rows = verbatim(audited, random.Random(1))
    few = replace(audited.tasks[0], held_out=audited.tasks[0].held_out[:held_out])
    planted = audit(with_rows(replace(audited, tasks=[few]), rows))
    (found,) = [finding for finding in planted.findings if finding.check == "memorisation"]
    assert found.figures["copied_excess_mean"] == pytest.approx(0.1, abs=0.03)
    assert found.verdict != "pass"
    assert audit(replace(audited, tasks=[few])).verdict == "pass"


def test_what_too_few_held_out_rows_leave_open_is_said() -> None:
    audited = clean()
    rows = verbatim(audited, random.Random(1))
    few = replace(audited.tasks[0], held_out=audited.tasks[0].held_out[:20])
    planted = with_rows(replace(audited, tasks=[few]), rows)
    (found,) = run_checks(planted, AuditParams(), [Memorisation()]).findings
    assert found.verdict == "pass" and len(found.flags) == 20
    assert any(names(note, "copied_excess", "10.0%") for note in found.notes)
    (none,) = run_checks(audited, AuditParams(), [Memorisation()]).findings
    assert not none.notes
    fewer = replace(few, held_out=few.held_out[:19])
    result = run_checks(replace(audited, tasks=[fewer]), AuditParams(), [Memorisation()])
    assert result.findings[0].shown_verdict == "not judged" and result.verdict == "warn"


def test_a_few_rows_said_again_and_again_are_no_pass() -> None:
    """A permutation of rows takes each for one chance, however many samples repeat it."""
    audited = clean()
    (task,) = audited.tasks
    rows = {i: edited(task.drawn[i], task.train[i % 4].input) for i in range(80)}
    result = audit(with_rows(audited, rows))
    (found,) = [finding for finding in result.findings if finding.check == "memorisation"]
    assert found.figures["copied_excess"] == pytest.approx(0.0, abs=0.01)
    assert found.figures["repeated_share"] == 0.4 and found.verdict == "fail"
    assert flagged(result, "memorisation") >= set(range(80))


def held_out_too(audited: Audited) -> Audited:
    (task,) = audited.tasks
    return replace(audited, tasks=[replace(task, held_out=[*task.held_out, *task.train[:4]])])


def but_one_rejected(audited: Audited) -> Audited:
    (task,) = audited.tasks
    rows = {i: replace(task.drawn[i], valid=False, reject_reason="no_ans") for i in range(4, 80)}
    return with_rows(audited, rows)


@pytest.mark.parametrize("change", [held_out_too, but_one_rejected])
def test_rows_that_are_held_out_too_or_were_rejected_are_not_repeated(
    change: Callable[[Audited], Audited],
) -> None:
    audited = clean()
    (task,) = audited.tasks
    said = {i: edited(task.drawn[i], task.train[i % 4].input) for i in range(80)}
    found = Memorisation().run(change(with_rows(audited, said)), Section())
    assert found.figures["repeated_share"] == 0.0


@pytest.mark.parametrize(("words_held_out", "share"), [(12, 1 / 200), (13, 0.0)])
def test_a_run_is_long_by_what_samples_share_with_held_out_rows(
    words_held_out: int, share: float
) -> None:
    audited = clean()
    (task,) = audited.tasks
    seen, unseen = (" ".join(f"{name}{i}" for i in range(30)) for name in "ab")
    train = [replace(task.train[0], input=seen), *task.train[1:]]
    held_out = [replace(task.held_out[0], input=unseen), *task.held_out[1:]]
    audited = replace(audited, tasks=[replace(task, train=train, held_out=held_out)])
    said = {
        i: edited(task.drawn[i], " ".join(text.split()[:words]))
        for i, (text, words) in enumerate([(seen, 25), (unseen, words_held_out)])
    }
    found = Memorisation().run(with_rows(audited, said), Section())
    assert found.figures["longest_span_held_out"] == words_held_out
    assert found.figures["extracted_share"] == share


def test_a_long_run_of_one_training_row_fails() -> None:
    """Long enough to be no chance, be it one row in two hundred."""
    audited = clean()
    (task,) = audited.tasks
    long = " ".join(sentence(random.Random(i)) for i in range(4))
    train = [replace(task.train[0], input=long), *task.train[1:]]
    audited = replace(audited, tasks=[replace(task, train=train)])
    assert audit(audited).verdict == "pass"
    part = " ".join(long.split()[3:35])
    result = audit(with_rows(audited, {i: edited(task.drawn[i], part) for i in (3, 70, 150)}))
    (found,) = [finding for finding in result.findings if finding.check == "memorisation"]
    assert found.figures["extracted_share"] == 3 / 200 and found.verdict == "fail"
    assert flagged(result, "memorisation") == {3, 70, 150}


@pytest.mark.parametrize("held_out", [0, 1, 5, 30])
def test_boilerplate_and_templates_are_no_memory(held_out: int) -> None:
    """What several training rows have is nothing of one row, however few were held out."""
    alarms = 0
    end = " ".join(sentence(random.Random(99)) for _ in range(2))
    for seed in range(4):
        for audited in (clean(seed=seed, num_templates=50), clean(seed=seed)):
            (task,) = audited.tasks
            chooser = random.Random(seed)
            some = {i: edited(row, f"{row.input} {end}") for i, row in enumerate(task.drawn)}
            drawn = [some[i] if chooser.random() < 0.1 else row for i, row in enumerate(task.drawn)]
            train = [
                replace(row, input=f"{row.input} {end}") if chooser.random() < 0.1 else row
                for row in task.train
            ]
            few = replace(task, drawn=drawn, train=train, held_out=task.held_out[:held_out])
            found = Memorisation().run(replace(audited, tasks=[few]), Section())
            assert found.figures["extracted_share"] == 0.0
            alarms += (found.figures["repeated_share"] or 0.0) > 0
    assert alarms <= 1


@pytest.mark.parametrize("unseen", "\u200b\u034f\ufe0f\u3164\u2800\x07\xad")
def test_copies_with_unseen_characters_are_copies(unseen: str) -> None:
    audited = clean()
    (task,) = audited.tasks
    rows = {i: edited(task.drawn[i], unseen.join(task.train[i].input)) for i in PLANTED}
    assert flagged(audit(with_rows(audited, rows)), "memorisation") == set(PLANTED)


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


def of_few_words(audited: Audited) -> Audited:
    """Every row another one, of the same words but for a number."""
    (task,) = audited.tasks
    words = task.drawn[0].input.rpartition(" ")[0]
    rows = {i: edited(row, f"{words} {5000 + i}") for i, row in enumerate(task.drawn)}
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


def test_the_variation_of_labels_is_the_share_of_rows_that_would_have_another() -> None:
    rows = [(f"row {i}", LABELS[i % 2]) for i in range(200)]
    one_label = table_of(rows, rows, [(text, LABELS[0]) for text, _ in rows])
    figures = Faithfulness().run(one_label, Section()).figures
    assert figures["label_variation"] == pytest.approx(0.5)
    # 1.96 standard deviations of 200 rows' share are chance
    by_chance = 1.96 * (0.5 * 0.5 / 200) ** 0.5
    assert figures["label_variation_excess"] == pytest.approx(0.5 - by_chance, abs=0.02)


def test_rows_of_few_words_compress_better_than_real_ones() -> None:
    figures = {f.check: f.figures for f in audit(of_few_words(clean())).findings}["variety"]
    compression, real = figures["compression"], figures["compression_real"]
    assert compression is not None and real is not None and compression < 0.75 * real
    assert figures["compression_ratio"] == pytest.approx(compression / real)


def test_samples_are_held_against_as_many_real_rows() -> None:
    """Of two hundred beside fifty, fifty are looked at: more rows repeat more."""
    audited = clean()
    (task,) = audited.tasks
    few = replace(audited, tasks=[replace(task, train=task.train[:50])])
    figures = {f.check: f.figures for f in audit(few).findings}["variety"]
    assert figures["distinct_2_ratio"] == pytest.approx(1.0, abs=0.1)
    assert figures["compression_ratio"] == pytest.approx(1.0, abs=0.1)
    twice = with_rows(few, {i: edited(task.drawn[i], task.drawn[i - 100].input)
                            for i in range(100, 200)})  # fmt: skip
    figures = {f.check: f.figures for f in audit(twice).findings}["copies"]
    assert figures["duplicate_share"] == 0.5
    assert 0.0 < (figures["duplicate_excess"] or 0.0) < 0.25, "an eighth is expected"


def test_the_whole_table_is_the_mean_over_its_rows() -> None:
    by_task = {"few": {"share": 0.9}, "many": {"share": 0.1, "other": 4.0}}
    means = pooled(by_task, {"few": 10, "many": 90})
    assert means == {"share": pytest.approx(0.18), "other": 4.0}


def test_personal_data_of_held_out_rows_is_replayed_too() -> None:
    audited = clean()
    (task,) = audited.tasks
    held_out = [replace(task.held_out[0], input="ring +1 650 253 0000"), *task.held_out[1:]]
    audited = replace(audited, tasks=[replace(task, held_out=held_out)])
    rows = {3: edited(task.drawn[3], f"{task.drawn[3].input} or +1 650 253 0000")}
    result = audit(with_rows(audited, rows))
    reasons = [flag.reason for flag in result.flags if flag.check == "personal_data"]
    assert reasons == ["replayed_phone"]


def test_copies_do_not_hide_drift() -> None:
    audited = clean()
    (task,) = audited.tasks
    copies = {i: edited(task.drawn[i], task.train[i].input) for i in range(100)}
    odd = {i: edited(task.drawn[i], f"{task.drawn[i].input} whatsoever") for i in range(100, 200)}

    def auc(rows: dict[int, PseudoSample]) -> float:
        found = Drift().run(with_rows(audited, rows), Section())
        return found.figures["drift_auc"] or 0.0

    assert auc({**copies, **odd}) > auc(odd) - 0.08
    assert 0.65 < auc({**copies, **odd}) <= 0.75, "of a copy's pairs half are in order"
    assert auc({i: edited(task.drawn[i], task.train[i].input) for i in range(200)}) == 0.5
    assert auc({i: edited(task.drawn[i], task.train[i % 3].input) for i in range(200)}) > 0.9


def test_texts_that_are_built_alike_are_no_memory() -> None:
    """Most rows are near copies by chance, and by which rows were held out the more or fewer."""
    alarms = 0
    for seed in range(12):
        audited = clean(seed=seed, num_templates=150)
        few = replace(audited.tasks[0], held_out=audited.tasks[0].held_out[:80])
        check = Memorisation()
        found = check.run(replace(audited, tasks=[few]), Section())
        assert (found.figures["copied_share"] or 0) > 0.5
        judged = judge(check, found, replace(audited, tasks=[few]), AuditParams())
        alarms += judged.verdict != "pass"
    assert alarms <= 1


def test_rows_of_other_tasks_are_looked_at_too() -> None:
    """The teacher has learnt them all: a copy is one, whatever task it was drawn for."""
    audited, other = clean(size=100), clean(size=100, seed=1)
    (task,), (second,) = audited.tasks, other.tasks
    second = replace(second, facts=replace(second.facts, name="second"))

    def drawn(texts: Sequence[str]) -> list[PseudoSample]:
        rows = (sample(i, text, "balance") for i, text in enumerate(texts))
        return [replace(row, source_task="second") for row in rows]

    copies = [row.input for row in task.train[:50]]
    fresh = [row.input for row in second.drawn]
    both = replace(audited, tasks=[task, replace(second, drawn=drawn(copies + fresh[:50]))])
    (found, *_) = run_checks(both, AuditParams(), [Memorisation()]).findings
    assert found.verdict == "fail" and len(found.flags) == 50
    assert {flag.real_row_id.split("/")[0] for flag in found.flags} == {TASK}
    assert found.by_task["second"]["copied_excess_mean"] == pytest.approx(0.5)
    assert found.by_task[TASK]["copied_share"] == 0.0
    gone = replace(both.tasks[1], train=[], held_out=[], forgotten_on="2026-01-01")
    (found, *_) = run_checks(
        replace(both, tasks=[task, gone]), AuditParams(), [Memorisation()]
    ).findings
    assert len(found.flags) == 50 and "second" not in found.by_task
    none = replace(audited, tasks=[task, replace(second, drawn=drawn(fresh))])
    (found, *_) = run_checks(none, AuditParams(), [Memorisation()]).findings
    assert found.verdict == "pass" and not found.flags


def as_second(task: SampledTask) -> SampledTask:
    drawn = [replace(row, source_task="second") for row in task.drawn]
    return replace(task, facts=replace(task.facts, name="second"), drawn=drawn)


def test_the_whole_table_is_what_its_tasks_are_together() -> None:
    """One with its rows and one with their fingerprint, each with copies."""
    audited, other = clean(size=100), clean(size=100, seed=1)
    (task,), (second,) = audited.tasks, other.tasks
    copies = [edited(row, real.input) for row, real in zip(task.drawn, task.train, strict=True)]
    task = replace(task, drawn=[*copies[:30], *task.drawn[30:]])
    copies = [edited(row, real.input) for row, real in zip(second.drawn, second.train, strict=True)]
    second = as_second(replace(second, drawn=[*copies[:10], *second.drawn[10:]]))
    kept = fingerprint_of(second, bytes(32), SEED)
    gone = replace(second, train=[], held_out=[], forgotten_on="2026-01-01", fingerprint=kept)
    both = replace(audited, tasks=[task, gone])
    found = Memorisation().run(both, Section())
    mine, theirs = found.by_task[TASK], found.by_task["second"]
    assert mine["longest_span"] != theirs["longest_span"]
    assert found.figures["longest_span"] == max(mine["longest_span"], theirs["longest_span"])
    assert (mine["exact_copies"], theirs["exact_copies"]) == (30, 10)
    assert found.figures["exact_copies"] == 40
    rows = AgainstRows(both.tasks, both.seed)
    parts = [rows.figures(rows.kept(task)), theirs]
    pooled_by_hand = pooled_excesses(parts, [100, 100], HEADLINES)
    assert len(pooled_by_hand) == 6 and found.figures == {**found.figures, **pooled_by_hand}


def test_intervals_of_single_tasks_hold_for_all_of_them_at_once() -> None:
    audited, other = clean(size=100), clean(size=100, seed=1)
    both = replace(audited, tasks=[*audited.tasks, as_second(*other.tasks)])
    found = Memorisation().run(both, Section())
    rows = AgainstRows(both.tasks, both.seed)
    for one in both.tasks:
        assert found.by_task[one.name] == rows.figures(rows.kept(one), num_comparisons=2)
        assert found.by_task[one.name] != rows.figures(rows.kept(one))


def test_rejected_rows_are_looked_at_but_not_counted() -> None:
    audited = clean()
    (task,) = audited.tasks
    text = f"{task.train[0].input} or mail jo.doe@example.org"
    train = [replace(task.train[0], input=text), *task.train[1:]]
    audited = replace(audited, tasks=[replace(task, train=train)])
    rows = {
        i: replace(
            sample(i, train[i - 20].input, task.drawn[i].target),
            valid=False,
            reject_reason="no_ans",
        )
        for i in PLANTED
    }
    result = audit(with_rows(audited, rows))
    assert flagged(result, "memorisation") == set(PLANTED)
    by_check = {finding.check: finding for finding in result.findings}
    assert by_check["memorisation"].figures["copied_share"] == 0.0
    assert by_check["personal_data"].figures["replayed_personal_share"] == pytest.approx(1 / 200)
    assert result.failed == ["personal_data"]


def test_without_held_out_rows_memory_is_not_judged() -> None:
    audited = clean(size=40)
    alone = replace(audited.tasks[0], held_out=[])
    result = audit(replace(audited, tasks=[alone]))
    (found,) = [finding for finding in result.findings if finding.check == "memorisation"]
    assert found.figures["copied_excess"] is None
    assert found.shown_verdict == "not judged"
    assert result.verdict == "warn" and not result.failed
    assert len(found.notes) == 1, "chance or memory: it is not known"


def test_a_copy_of_a_held_out_row_is_chance_and_not_memory() -> None:
    audited = clean()
    (task,) = audited.tasks
    both = [replace(row, input=task.train[i].input) for i, row in enumerate(task.held_out)]
    audited = replace(audited, tasks=[replace(task, held_out=both)])
    rows = verbatim(audited, random.Random(1))
    result = audit(with_rows(audited, rows))
    (found,) = [finding for finding in result.findings if finding.check == "memorisation"]
    assert found.figures["copied_share"] == pytest.approx(0.1)
    assert found.verdict == "pass" and not flagged(result, "memorisation")


def test_replayed_personal_data_fails() -> None:
    audited = clean()
    (task,) = audited.tasks
    train = list(task.train)
    train[5] = replace(train[5], input="write to jo@example.org about the loan")
    audited = replace(audited, tasks=[replace(task, train=train)])
    rows = {3: edited(task.drawn[3], "the mail is JO@example.org and the bill is late")}
    result = audit(with_rows(audited, rows))
    (found,) = [finding for finding in result.findings if finding.check == "personal_data"]
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


def test_the_teacher_is_asked_where_it_may_be() -> None:
    audited = clean()

    def answers(rows: Sequence[PseudoSample]) -> list[str]:
        return ["something" if row.gen_index in PLANTED else f" {row.target} " for row in rows]

    result = audit(audited, answers)
    assert flagged(result, "faithfulness") == set(PLANTED)
    by_check = {finding.check: finding.figures for finding in result.findings}
    assert by_check["faithfulness"]["disagreement_share"] == pytest.approx(0.1)


def test_free_text_is_held_against_the_teacher_by_its_own_metric() -> None:
    audited = clean()
    (task,) = audited.tasks
    text = replace(task, facts=replace(task.facts, metric="token_f1", targets="text"))
    rows = {i: edited(row, row.input, "two cards and a loan") for i, row in enumerate(task.drawn)}
    spoken = with_rows(replace(audited, tasks=[text]), rows)
    result = audit(spoken, lambda rows: ["two loans and a card"] * len(rows))
    by_check = {finding.check: finding.figures for finding in result.findings}
    assert by_check["faithfulness"]["disagreement_share"] == pytest.approx(0.5)
    assert not flagged(result, "faithfulness")


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


def in_a_rejected_row(row: PseudoSample, secret: str) -> PseudoSample:
    return replace(in_an_input(row, secret), valid=False, reject_reason="no_ans")


@pytest.mark.parametrize("plant", [in_an_input, in_a_target, in_a_rejected_row])
def test_a_planted_secret_that_comes_back_fails(
    plant: Callable[[PseudoSample, str], PseudoSample],
) -> None:
    audited = canaried(clean())
    (task,) = audited.tasks
    spaced = " ".join(task.canaries[1].secret)
    result = audit(with_rows(audited, {9: plant(task.drawn[9], spaced)}))
    (found,) = [finding for finding in result.findings if finding.check == "canaries"]
    assert found.figures["canary_share"] == pytest.approx(0.2) and found.verdict == "fail"
    assert flagged(result, "canaries") == {9}
    assert found.flags[0].real_row_id == task.canaries[1].row_id
    assert audit(audited).verdict == "pass"


def test_a_secret_of_one_task_is_found_in_a_row_of_another() -> None:
    planted, (other,) = canaried(clean()), clean(seed=1).tasks
    (task,) = planted.tasks
    leaking = in_an_input(other.drawn[4], task.canaries[0].secret)
    second = as_second(replace(other, drawn=[*other.drawn[:4], leaking, *other.drawn[5:]]))
    found = Canaries().run(replace(planted, tasks=[task, second]), Section())
    assert found.by_task[TASK]["canary_share"] == pytest.approx(0.2)
    assert [(flag.row_id, flag.source_task) for flag in found.flags] == [(leaking.row_id, "second")]


def test_exposure_is_the_rank_of_the_planted_secret() -> None:
    audited = canaried(clean())
    planted = {canary.text for canary in audited.tasks[0].canaries}

    def exposure(likelihood: Callable[[str], float]) -> float:
        teacher = Teacher(decode, score=lambda place, texts: [likelihood(text) for text in texts])
        found = Canaries().run(replace(audited, teacher=teacher), Section())
        return found.figures["exposure"] or 0.0

    assert exposure(lambda text: -1.0 if text in planted else 0.0) == pytest.approx(10.0)
    assert exposure(lambda text: 1.0 if text in planted else 0.0) == pytest.approx(0.0)
    chooser = random.Random(0)
    by_chance = [exposure(lambda text: chooser.random()) for _ in range(20)]
    assert sum(by_chance) / 20 == pytest.approx(1.44, abs=0.5)


def test_a_manifest_that_does_not_fit_is_told() -> None:
    audited = clean(size=40)

    def told_by(**changes: Any) -> tuple[Audit, str]:
        """The audit with another manifest, and the notes of provenance."""
        manifest = replace(audited.origin.manifest, **changes)
        result = audit(replace(audited, origin=replace(audited.origin, manifest=manifest)))
        (found,) = [finding for finding in result.findings if finding.check == "provenance"]
        return result, " ".join(found.notes)

    assert told_by()[1] == ""
    text = audited.origin.text.model_dump()
    other = {"seed": 8, "text": text | {"max_input_tokens": 77}}
    result, notes = told_by(parameters=other, inputs={"teacher": "cd" * 32})
    assert result.failed == ["provenance"]
    assert names(notes, "cdcdcdcdcdcd") and names_in_order(notes, "seed", 8, SEED)
    assert names_in_order(notes, "text", "max_input_tokens", 77, 4000)
    own = audited.origin.manifest
    result, notes = told_by(code_version="0123", parameters=own.parameters | {"method": "lamol"})
    assert result.verdict == "warn" and not result.failed, "written by other code"
    assert names(notes, "0123", own.code_version)
    assert "provenance" in told_by(parameters={})[0].failed, "it says nothing"
    assert "provenance" in told_by(inputs={})[0].failed
    for change in ({"table_is_as_written": False}, {"teacher_is_as_written": False}):
        changed = replace(audited, origin=replace(audited.origin, **change))
        assert audit(changed).failed == ["provenance"]


def test_of_a_table_without_samples_provenance_alone_is_told() -> None:
    none = replace(clean(size=40), tasks=[])
    result = audit(none)
    assert [finding.check for finding in result.findings] == ["provenance"]
    assert result.verdict == "pass"
    unsealed = replace(none, origin=replace(none.origin, table_is_as_written=False))
    assert audit(unsealed).failed == ["provenance"]


def test_a_row_that_was_carried_over_is_that_of_the_table_before() -> None:
    audited = clean(size=40)
    (task,) = audited.tasks
    old = [
        replace(task.drawn[i], row_id=f"before/pseudo/{TASK}/{i:06d}.1", teacher_sha256="cd" * 32)
        for i in range(2)
    ]
    rows = with_rows(audited, {0: old[0], 1: replace(old[1], target="pin")})
    assert {f.reason for f in audit(rows).flags if f.check == "provenance"} == {"foreign_id"}
    carried = {row.row_id: row for row in old}
    known = replace(rows, origin=replace(rows.origin, carried=carried))
    flags = [f for f in audit(known).flags if f.check == "provenance"]
    assert [(f.row_id, f.reason) for f in flags] == [(old[1].row_id, "edited_row")]


def test_a_rejected_draw_beside_rows_that_were_carried_over_is_no_verdict() -> None:
    audited = clean(size=100)
    (task,) = audited.tasks
    rejected = {
        i: replace(task.drawn[i], valid=False, reject_reason="duplicate") for i in range(60, 100)
    }
    rows = with_rows(audited, rejected)

    def judged(num_rejected: int) -> set[str]:
        (few,) = rows.tasks
        some = replace(few, drawn=few.drawn[: 60 + num_rejected])
        origin = replace(rows.origin, carried={s.row_id: s for s in few.drawn[:60]})
        result = audit(replace(rows, tasks=[some], origin=origin))
        (found,) = [finding for finding in result.findings if finding.check == "validity"]
        return {one.task for one in found.judged if one.figure == "rejected_share"}

    assert judged(29) == {""} and judged(30) == {"", TASK}


def test_rejected_rows_and_limits_are_counted() -> None:
    audited = clean(size=100)
    (task,) = audited.tasks
    rows = {
        i: replace(task.drawn[i], valid=False, reject_reason="no_ans" if i % 2 else "surplus")
        for i in range(80)
    }
    text = audited.origin.text.model_copy(update={"max_input_tokens": 10})
    short = replace(audited.origin, text=text)
    result = audit(replace(with_rows(audited, rows), origin=short))
    (found,) = [finding for finding in result.findings if finding.check == "validity"]
    assert found.figures["rejected_share"] == pytest.approx(40 / 60)
    assert found.figures["attempts_per_row"] == pytest.approx(3.0)
    assert found.figures["rejected_no_ans"] == 40
    assert found.figures["truncated_share"] == 1.0 and found.verdict == "fail"

    none = {
        i: replace(row, valid=False, reject_reason="no_ans") for i, row in enumerate(task.drawn)
    }
    result = audit(with_rows(audited, none))
    assert "validity" in result.failed
    (found,) = [finding for finding in result.findings if finding.check == "validity"]
    assert found.by_task[TASK]["rejected_share"] == 1.0 and names(found.notes[0], TASK)


@pytest.mark.parametrize(
    ("max_input_tokens", "max_target_tokens", "truncated"), [(10, 4, 1), (11, 4, 0), (11, 3, 1)]
)
def test_rows_that_fill_either_limit_are_truncated(
    max_input_tokens: int, max_target_tokens: int, truncated: int
) -> None:
    audited = table_of([("real", "pin")], [], [("x" * 10, "pin")])
    text = TextParams(max_input_tokens=max_input_tokens, max_target_tokens=max_target_tokens)
    limited = replace(audited, origin=replace(audited.origin, text=text))
    assert Validity().run(limited, Section()).figures["truncated_share"] == truncated


def test_drift_tells_other_words_apart() -> None:
    audited = clean()
    (task,) = audited.tasks
    rows = {i: edited(row, f"zzz {row.input}") for i, row in enumerate(task.drawn)}
    result = audit(with_rows(audited, rows))
    (found,) = [finding for finding in result.findings if finding.check == "drift"]
    assert (found.figures["drift_auc"] or 0) > 0.9 and found.verdict == "warn"
    assert f"drift_auc_{task.train[0].target}" in found.by_task[TASK]


def test_the_same_table_has_the_same_figures() -> None:
    assert audit(clean()).as_dict() == audit(clean()).as_dict()


def test_too_few_rows_are_not_judged_alone() -> None:
    audited = clean(size=10)
    result = audit(with_rows(audited, wrong_labels_few(audited)))
    (found,) = [finding for finding in result.findings if finding.check == "faithfulness"]
    assert {judged.task for judged in found.judged} == {""}


def wrong_labels_few(audited: Audited) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {2: edited(task.drawn[2], task.drawn[2].input, "weather")}


def test_encode_is_undone_by_decode() -> None:
    assert decode(encode("a é")) == "a é"
