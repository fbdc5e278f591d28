"""Where a table comes from, and what its teacher answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from lamol_core.audit.verdicts import Audit
from lamol_core.records import PseudoSample
from tests.audit.corpus import SEED, TASK, clean, with_rows
from tests.audit.defects import PLANTED, audit, edited, flagged
from tests.messages import names, names_in_order


def test_the_teacher_is_asked_where_it_may_be() -> None:
    audited = clean()

    def answers(rows: Sequence[PseudoSample]) -> list[str]:
        return ["something" if row.gen_index in PLANTED else f" {row.target} " for row in rows]

    result = audit(audited, "faithfulness", asked=answers)
    assert flagged(result, "faithfulness") == set(PLANTED)
    assert result.findings[0].figures["disagreement_share"] == pytest.approx(0.1)


def test_free_text_is_held_against_the_teacher_by_its_own_metric() -> None:
    audited = clean()
    (task,) = audited.tasks
    text = replace(task, facts=replace(task.facts, metric="token_f1", targets="text"))
    rows = {i: edited(row, row.input, "two cards and a loan") for i, row in enumerate(task.drawn)}
    spoken = with_rows(replace(audited, tasks=[text]), rows)
    answers = ["two loans and a card"] * len(rows)
    result = audit(spoken, "faithfulness", asked=lambda rows: answers)
    assert result.findings[0].figures["disagreement_share"] == pytest.approx(0.5)
    assert not flagged(result, "faithfulness")


def test_a_manifest_that_does_not_fit_is_told() -> None:
    audited = clean(size=40)

    def told_by(**changes: Any) -> tuple[Audit, str]:
        """The audit with another manifest, and the notes of provenance."""
        manifest = replace(audited.origin.manifest, **changes)
        changed = replace(audited, origin=replace(audited.origin, manifest=manifest))
        result = audit(changed, "provenance")
        return result, " ".join(result.findings[0].notes)

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
        assert audit(changed, "provenance").failed == ["provenance"]


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
    assert {f.reason for f in audit(rows, "provenance").flags} == {"foreign_id"}
    carried = {row.row_id: row for row in old}
    known = replace(rows, origin=replace(rows.origin, carried=carried))
    flags = audit(known, "provenance").flags
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
        (found,) = audit(replace(rows, tasks=[some], origin=origin), "validity").findings
        return {one.task for one in found.judged if one.figure == "rejected_share"}

    assert judged(29) == {""} and judged(30) == {"", TASK}
