"""Rows that a model repeats from its training rows, and what is no memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from lamol_core.audit.checks.memorisation import Memorisation
from lamol_core.audit.params import AuditParams
from lamol_core.audit.spec import Audited
from lamol_core.audit.verdicts import judge
from lamol_core.config.section import Section
from lamol_core.records import PseudoSample
from tests.audit.corpus import TASK, clean, sample, sentence, with_rows
from tests.audit.defects import PLANTED, audit, edited, flagged, verbatim
from tests.messages import names


@pytest.mark.parametrize("held_out", [200, 86, 40])
def test_memory_is_found_however_few_rows_were_held_out(held_out: int) -> None:
    audited = clean()
    rows = verbatim(audited, random.Random(1))
    few = replace(audited.tasks[0], held_out=audited.tasks[0].held_out[:held_out])
    planted = audit(with_rows(replace(audited, tasks=[few]), rows), "memorisation")
    (found,) = planted.findings
    assert found.figures["copied_excess_mean"] == pytest.approx(0.1, abs=0.03)
    assert found.verdict != "pass"
    assert audit(replace(audited, tasks=[few]), "memorisation").verdict == "pass"


def test_what_too_few_held_out_rows_leave_open_is_said() -> None:
    audited = clean()
    rows = verbatim(audited, random.Random(1))
    few = replace(audited.tasks[0], held_out=audited.tasks[0].held_out[:20])
    planted = with_rows(replace(audited, tasks=[few]), rows)
    (found,) = audit(planted, "memorisation").findings
    assert found.verdict == "pass" and len(found.flags) == 20
    assert any(names(note, "copied_excess", "10.0%") for note in found.notes)
    (none,) = audit(audited, "memorisation").findings
    assert not none.notes
    fewer = replace(few, held_out=few.held_out[:19])
    result = audit(replace(audited, tasks=[fewer]), "memorisation")
    assert result.findings[0].shown_verdict == "not judged" and result.verdict == "warn"


def test_a_few_rows_said_again_and_again_are_no_pass() -> None:
    """A permutation of rows takes each for one chance, however many samples repeat it."""
    audited = clean()
    (task,) = audited.tasks
    rows = {i: edited(task.drawn[i], task.train[i % 4].input) for i in range(80)}
    result = audit(with_rows(audited, rows), "memorisation")
    (found,) = result.findings
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
    assert audit(audited, "memorisation").verdict == "pass"
    part = " ".join(long.split()[3:35])
    rows = {i: edited(task.drawn[i], part) for i in (3, 70, 150)}
    result = audit(with_rows(audited, rows), "memorisation")
    (found,) = result.findings
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
    assert flagged(audit(with_rows(audited, rows), "memorisation"), "memorisation") == set(PLANTED)


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


def test_a_small_table_of_copies_is_no_plain_pass() -> None:
    """An interval from few rows excludes nothing: the verdict is at least "warn"."""
    (task,) = clean().tasks
    drawn = [edited(row, task.train[i].input) for i, row in enumerate(task.drawn[:14])]
    few = replace(task, drawn=drawn, held_out=task.held_out[:30])
    (found,) = audit(replace(clean(), tasks=[few]), "memorisation").findings
    assert found.figures["copy_share"] == 1.0 and found.verdict != "pass"


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
    (found, *_) = audit(both, "memorisation").findings
    assert found.verdict == "fail" and len(found.flags) == 50
    assert {flag.real_row_id.split("/")[0] for flag in found.flags} == {TASK}
    assert found.by_task["second"]["copied_excess_mean"] == pytest.approx(0.5)
    assert found.by_task[TASK]["copied_share"] == 0.0
    gone = replace(both.tasks[1], train=[], held_out=[], forgotten_on="2026-01-01")
    (found, *_) = audit(replace(both, tasks=[task, gone]), "memorisation").findings
    assert len(found.flags) == 50 and "second" not in found.by_task
    none = replace(audited, tasks=[task, replace(second, drawn=drawn(fresh))])
    (found, *_) = audit(none, "memorisation").findings
    assert found.verdict == "pass" and not found.flags


def test_without_held_out_rows_memory_is_not_judged() -> None:
    audited = clean(size=40)
    alone = replace(audited.tasks[0], held_out=[])
    result = audit(replace(audited, tasks=[alone]), "memorisation")
    (found,) = result.findings
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
    result = audit(with_rows(audited, rows), "memorisation")
    (found,) = result.findings
    assert found.figures["copied_share"] == pytest.approx(0.1)
    assert found.verdict == "pass" and not flagged(result, "memorisation")
