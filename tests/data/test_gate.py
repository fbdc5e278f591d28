"""The gate: which verdict counts, which rows pass, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lamol_core.artifacts.figures import write_json
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance, seal_folder
from lamol_core.artifacts.spec import AUDIT, AUDIT_FIGURES, AUDIT_FLAGS, GENERATE, MIX_STAGE, PSEUDO
from lamol_core.artifacts.store import Inputs
from lamol_core.artifacts.tables import write_rows, write_table
from lamol_core.data.gate import PassedRows, flagged_rows, pass_gate, write_base_audit
from lamol_core.data.params import MixParams
from lamol_core.errors import ArtifactError, GenerationError
from lamol_core.records import Flag, PseudoSample, TaskFacts
from tests.messages import mentions, names, naming

TASK = "b"
EARLIER = [TaskFacts(name, "accuracy", "classes", ("y",), {"train": 9}) for name in ("a", "z")]
OFF, WARN, FAIL = (MixParams.model_validate({"gate": gate}) for gate in ("off", "warn", "fail"))


def dropping(params: MixParams) -> MixParams:
    return params.model_copy(update={"drop_flagged": True})


def sample(index: int, source: str, valid: bool = True) -> PseudoSample:
    return PseudoSample(
        row_id=f"{TASK}/pseudo/{source}/{index:06d}.1",
        source_task=source,
        gen_index=index,
        attempt=1,
        input="x",
        target="y",
        input_ids=[1],
        target_ids=[2],
        valid=valid,
        reject_reason="" if valid else "no_ans",
        nll=1.0,
        seed=0,
        teacher_sha256="0",
    )


ROWS = [sample(i, source, valid=i != 2) for source in ("a", "z") for i in range(4)]
FLAGGED = [ROWS[0], ROWS[2]]
"""A valid row and a rejected one."""


def draw(root: Path, rows: Sequence[PseudoSample] = ROWS) -> tuple[Layout, str]:
    """A sequence with a table, and the table's hash."""
    layout = Layout(root)
    layout.run(TASK).mkdir(parents=True, exist_ok=True)
    return layout, write_table(layout.pseudo(TASK), PSEUDO, rows).content_sha256


def mixing(layout: Layout) -> Inputs:
    return Inputs(MIX_STAGE, TASK, "a", layout)


def gate(layout: Layout, params: MixParams) -> PassedRows:
    return pass_gate(mixing(layout), params, EARLIER)


def audited(
    root: Path,
    verdict: str = "pass",
    without: str | None = "pass",
    flagged: Sequence[PseudoSample] = FLAGGED,
    rows: Sequence[PseudoSample] = ROWS,
    **parameters: Any,
) -> Layout:
    """A sequence with a table and its audit: the verdict, and that without the flagged rows."""
    layout, content = draw(root, rows)
    folder = layout.audit(TASK)
    folder.mkdir()
    told: dict[str, Any] = {
        "verdict": verdict,
        "failed": ["copies", "drift"] if verdict == "fail" else [],
        "rows_flagged": len(flagged),
        "checks": {"copies": {"row_verdict": "repeat"}, "drift": {"row_verdict": ""}},
    }
    if without is not None:
        failed = ["drift"] if without == "fail" else []
        told["without_flagged"] = {"verdict": without, "failed": failed}
    write_json(folder / AUDIT_FIGURES, told)
    flags = [
        Flag(row.row_id, row.source_task, "copies", "duplicate", verdict="repeat")
        for row in flagged
    ]
    write_rows(folder / AUDIT_FLAGS, flags, AUDIT.schema)
    seal_folder(folder, AUDIT.kind, {}, Provenance(parameters, {"pseudo": content}))
    return layout


@pytest.mark.parametrize("params", [OFF, WARN, FAIL])
@pytest.mark.parametrize("verdict", ["pass", "warn"])
def test_what_did_not_fail_passes_whole(params: MixParams, verdict: str, tmp_path: Path) -> None:
    passed = gate(audited(tmp_path, verdict), params)
    assert passed.samples == ROWS and passed.num_dropped == 0


def test_a_failed_audit_stops_where_the_gate_says_so(tmp_path: Path) -> None:
    layout = audited(tmp_path, "fail")
    with pytest.raises(GenerationError) as stopped:
        gate(layout, FAIL)
    assert names(stopped.value, layout.pseudo(TASK), "copies", "drift", "mix.gate: warn")
    assert names(stopped.value, "mix.drop_flagged: true", len(FLAGGED))
    for params, failed in ((WARN, "copies, drift"), (OFF, "")):
        passed = gate(layout, params)
        assert passed.samples == ROWS and passed.failed == failed


def test_with_the_gate_off_a_failed_audit_only_drops(tmp_path: Path) -> None:
    layout = audited(tmp_path, "fail", "fail")
    dropping = MixParams.model_validate({"gate": "off", "drop_flagged": True})
    passed = gate(layout, dropping)
    assert passed.failed == "" and passed.num_dropped > 0


def test_nothing_is_said_of_dropping_where_nothing_is_flagged(tmp_path: Path) -> None:
    with pytest.raises(GenerationError) as stopped:
        gate(audited(tmp_path, "fail", flagged=()), FAIL)
    assert not mentions(stopped.value, "mix.drop_flagged")


@pytest.mark.parametrize("params", [OFF, WARN, FAIL])
def test_flagged_rows_are_dropped_and_the_verdict_is_that_of_the_others(
    params: MixParams, tmp_path: Path
) -> None:
    passed = gate(audited(tmp_path, "fail"), dropping(params))
    assert passed.samples == [row for row in ROWS if row not in FLAGGED]
    assert passed.num_dropped == 1, "the other one was rejected anyway"


def test_dropping_flagged_rows_does_not_help_where_the_rest_failed(tmp_path: Path) -> None:
    layout = audited(tmp_path, "warn", "fail")
    with pytest.raises(GenerationError, match=naming("drift")) as stopped:
        gate(layout, dropping(FAIL))
    assert not mentions(stopped.value, "mix.drop_flagged")
    assert gate(layout, dropping(WARN)).num_dropped == 1


def test_rows_are_dropped_by_the_names_of_their_verdicts(tmp_path: Path) -> None:
    layout = audited(tmp_path, "fail")
    repeats, copies = (
        MixParams.model_validate({"drop_flagged": names}) for names in (["repeat"], ["copy"])
    )
    passed = gate(layout, repeats)
    assert passed.num_dropped == 1 and passed.failed == "drift", "no row is dropped for drift"
    passed = gate(layout, copies)
    assert passed.samples == ROWS and passed.failed == "copies, drift"
    with pytest.raises(ValidationError):
        MixParams.model_validate({"drop_flagged": ["odd"]})


@pytest.mark.parametrize("params", [OFF, WARN, FAIL])
def test_flagged_rows_of_a_table_without_that_verdict_are_not_dropped(
    params: MixParams, tmp_path: Path
) -> None:
    layout = audited(tmp_path, "fail", None)
    with pytest.raises(ArtifactError, match=naming(layout.pseudo(TASK), f"generate@{TASK}")):
        gate(layout, dropping(params))


def test_a_task_without_a_row_left_is_refused(tmp_path: Path) -> None:
    of_a = [row for row in ROWS if row.source_task == "a"]
    layout = audited(tmp_path, flagged=of_a)
    with pytest.raises(GenerationError, match=naming(layout.pseudo(TASK), "mix.drop_flagged")):
        gate(layout, dropping(WARN))
    assert gate(layout, WARN).samples == ROWS


def test_a_task_that_had_no_valid_row_is_none_that_was_lost(tmp_path: Path) -> None:
    rows = [row if row.source_task == "z" else replace(row, valid=False) for row in ROWS]
    passed = gate(audited(tmp_path, rows=rows), dropping(WARN))
    assert len(passed.samples) == 6 and passed.num_dropped == 0


def test_the_audit_of_another_table_is_none(tmp_path: Path) -> None:
    layout = audited(tmp_path)
    draw(tmp_path, ROWS[1:])
    for params in (WARN, FAIL, dropping(OFF)):
        with pytest.raises(ArtifactError, match=naming(layout.audit(TASK), f"audit@{TASK}")):
            gate(layout, params)
    assert gate(layout, OFF).samples == ROWS[1:]


@pytest.mark.parametrize("params", [WARN, FAIL, dropping(OFF), dropping(WARN)])
def test_an_audit_that_is_asked_must_be_there_unchanged(params: MixParams, tmp_path: Path) -> None:
    layout, _ = draw(tmp_path / "none")
    with pytest.raises(ArtifactError, match=naming(layout.audit(TASK), f"audit@{TASK}")):
        gate(layout, params)
    layout = audited(tmp_path / "changed", "fail")
    figures = layout.audit(TASK) / AUDIT_FIGURES
    figures.write_text(figures.read_text().replace("fail", "pass"))
    with pytest.raises(ArtifactError, match=naming(figures, f"audit@{TASK}")):
        gate(layout, params)


def test_no_audit_is_asked_where_nothing_depends_on_it(tmp_path: Path) -> None:
    layout, _ = draw(tmp_path)
    assert gate(layout, OFF).samples == ROWS


def test_a_table_that_was_changed_is_refused(tmp_path: Path) -> None:
    layout, _ = draw(tmp_path)
    write_rows(layout.pseudo(TASK), ROWS[:-1], PSEUDO.schema)
    with pytest.raises(ArtifactError, match=naming(layout.pseudo(TASK), f"generate@{TASK}")):
        gate(layout, OFF)


def test_before_any_task_nothing_is_flagged(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.run("base").mkdir(parents=True)
    write_base_audit(layout.audit("base"))
    assert flagged_rows(Inputs(GENERATE, TASK, "base", layout), "before") == set()
