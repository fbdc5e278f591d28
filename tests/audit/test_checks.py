"""Planted defects are found, and only they; clean tables pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lamol_core.audit.checks.drift import Drift
from lamol_core.audit.checks.faithfulness import Faithfulness
from lamol_core.audit.checks.memorisation import HEADLINES, Memorisation
from lamol_core.audit.checks.validity import Validity
from lamol_core.audit.figures import number, pooled
from lamol_core.audit.memorisation.permutation import pooled_excesses
from lamol_core.audit.memorisation.row_overlap import AgainstRows
from lamol_core.audit.spec import Audited, Teacher
from lamol_core.config.section import Section
from lamol_core.privacy.fingerprinting import fingerprint_of
from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise
from lamol_core.text.params import TextParams
from tests.audit.corpus import (
    LABELS,
    SEED,
    TASK,
    clean,
    decode,
    encode,
    sample,
    table_of,
    with_rows,
)
from tests.audit.defects import PLANTED, as_second, audit, edited, flagged, of_few_words
from tests.messages import names


def test_the_variation_of_labels_is_the_share_of_rows_that_would_have_another() -> None:
    rows = [(f"row {i}", LABELS[i % 2]) for i in range(200)]
    one_label = table_of(rows, rows, [(text, LABELS[0]) for text, _ in rows])
    figures = Faithfulness().run(one_label, Section()).figures
    assert figures["label_variation"] == pytest.approx(0.5)
    # 1.96 standard deviations of 200 rows' share are chance
    by_chance = 1.96 * (0.5 * 0.5 / 200) ** 0.5
    assert figures["label_variation_excess"] == pytest.approx(0.5 - by_chance, abs=0.02)


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_labels_are_known_in_the_form_in_which_the_teacher_writes_them(is_forgotten: bool) -> None:
    """A tokenizer may write `Card-Lost` as `card - lost`: no such row has an unknown label."""
    form = {normalise(label): f"{label} - form" for label in LABELS}
    rows = [(f"row {i}", LABELS[i % 5]) for i in range(100)]
    audited = table_of(rows, rows, [(text, form[normalise(label)]) for text, label in rows])
    if is_forgotten:
        (task,) = audited.tasks
        kept = fingerprint_of(task, b"key", SEED)
        audited = replace(audited, tasks=[replace(task, forgotten_on="x", fingerprint=kept)])
    figures = Faithfulness().run(audited, Section()).figures
    assert figures["unknown_label_share"] == 1.0
    writes = replace(audited, teacher=Teacher(decode, forms=lambda labels: form))
    figures = Faithfulness().run(writes, Section()).figures
    assert (figures["unknown_label_share"], figures["label_variation"]) == (0.0, 0.0)


def test_rows_of_few_words_compress_better_than_real_ones() -> None:
    figures = audit(of_few_words(clean()), "variety").findings[0].figures
    compression, real = figures["compression"], figures["compression_real"]
    assert compression is not None and real is not None and compression < 0.75 * real
    assert figures["compression_ratio"] == pytest.approx(compression / real)


def test_samples_are_held_against_as_many_real_rows() -> None:
    """Of two hundred beside fifty, fifty are looked at: more rows repeat more."""
    audited = clean()
    (task,) = audited.tasks
    few = replace(audited, tasks=[replace(task, train=task.train[:50])])
    figures = audit(few, "variety").findings[0].figures
    assert figures["distinct_2_ratio"] == pytest.approx(1.0, abs=0.1)
    assert figures["compression_ratio"] == pytest.approx(1.0, abs=0.1)
    twice = with_rows(few, {i: edited(task.drawn[i], task.drawn[i - 100].input)
                            for i in range(100, 200)})  # fmt: skip
    figures = audit(twice, "copies").findings[0].figures
    assert figures["duplicate_share"] == 0.5
    assert 0.0 < (figures["duplicate_excess"] or 0.0) < 0.25, "an eighth is expected"


def test_the_whole_table_is_the_mean_over_its_rows() -> None:
    by_task = {"few": {"share": 0.9}, "many": {"share": 0.1, "other": 4.0}}
    means = pooled(by_task, {"few": 10, "many": 90})
    assert means == {"share": pytest.approx(0.18), "other": 4.0}


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
        alone = rows.figures(rows.kept(one), num_comparisons=2)
        assert found.by_task[one.name].items() >= alone.items()
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


def test_rejected_rows_and_limits_are_counted() -> None:
    audited = clean(size=100)
    (task,) = audited.tasks
    rows = {i: replace(task.drawn[i], valid=False, reject_reason="no_ans") for i in range(1, 80, 2)}
    text = audited.origin.text.model_copy(update={"max_input_tokens": 10})
    short = replace(audited.origin, text=text)
    (found,) = audit(replace(with_rows(audited, rows), origin=short), "validity").findings
    assert found.figures["rejected_share"] == pytest.approx(40 / 100)
    assert found.figures["attempts_per_row"] == pytest.approx(100 / 60)
    assert found.figures["rejected_no_ans"] == 40
    assert found.figures["truncated_share"] == 1.0 and found.verdict == "fail"

    none = {
        i: replace(row, valid=False, reject_reason="no_ans") for i, row in enumerate(task.drawn)
    }
    (found,) = audit(with_rows(audited, none), "validity").findings
    assert found.verdict == "fail"
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
    (found,) = audit(with_rows(audited, rows), "drift").findings
    assert (found.figures["drift_auc"] or 0) > 0.9 and found.verdict == "warn"
    assert f"drift_auc_{task.train[0].target}" in found.by_task[TASK]


def test_figures_are_shown_without_what_rounding_leaves() -> None:
    assert [number(value) for value in (9.25e-18, 0.0133, -3.0, None)] == ["0", "0.0133", "-3", ""]


def test_the_same_table_has_the_same_figures() -> None:
    assert audit(clean()).as_dict() == audit(clean()).as_dict()


def test_too_few_rows_are_not_judged_alone() -> None:
    audited = clean(size=10)
    rows = wrong_labels_few(audited)
    (found,) = audit(with_rows(audited, rows), "faithfulness").findings
    assert {judged.task for judged in found.judged} == {""}


def wrong_labels_few(audited: Audited) -> dict[int, PseudoSample]:
    (task,) = audited.tasks
    return {2: edited(task.drawn[2], task.drawn[2].input, "weather")}


def test_encode_is_undone_by_decode() -> None:
    assert decode(encode("a é")) == "a é"
