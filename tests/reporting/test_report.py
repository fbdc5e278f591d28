"""The report's files: where there is little to report, and where figures are not what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lamol_core.artifacts.figures import write_json
from lamol_core.artifacts.layout import Layout
from lamol_core.errors import ArtifactError
from lamol_core.reporting.report import model_card, read_figures, write_report
from lamol_core.reporting.summary import build_summary
from tests.messages import naming
from tests.reporting.test_summary import figures, settings


def test_a_report_is_written_when_no_score_is_left(tmp_path: Path) -> None:
    """A task alone, whose rows were forgotten before it was evaluated."""
    of_a = figures("a", "base", [None])
    summary = build_summary(settings("lamol_kd"), [of_a])
    layout = Layout(tmp_path)
    write_report(layout, summary, [of_a], {"method": "lamol_kd"}, None)
    table = (layout.reports / "score_matrix.csv").read_text(encoding="utf-8")
    assert table == "step,after_learning,score_on,score\n"
    assert (layout.reports / "index.html").stat().st_size > 1000


@pytest.mark.slow
def test_there_is_a_card_for_each_task_and_for_no_other(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    of_a, of_b = figures("a", "base", [90.0]), figures("b", "a", [80.0, 70.0], ["a"])
    for of_all in ([of_a, of_b], [of_a]):
        write_report(layout, build_summary(settings("lamol"), of_all), of_all, {"method": "lamol"})
        cards = {path.stem: path.read_text("utf-8") for path in layout.reports.glob("cards/*")}
        assert cards == {one.task: model_card(one) for one in of_all}


COST = {"seconds": 1.0, "peak_memory_bytes": 7}
MEASURED: dict[str, dict[str, Any]] = {
    "generate": {"valid": 0, "rejected": 0, **COST},
    "train": {"kept": {"bytes": 0, "real_rows": 0}, "held": {}, "curve": [], **COST},
    "evaluate": {
        "scores": {"a": 50.0},
        "num_test_rows": {"a": 4},
        "flagged_dropped": 0,
        "method": "lamol",
        **COST,
    },
}


def read_changed(layout: Layout, stage: str, **changes: Any) -> Any:
    for name, content in MEASURED.items():
        write_json(layout.figure("a", name), content | (changes if name == stage else {}))
    return read_figures(layout, "a", "base")


@pytest.mark.parametrize(
    ("stage", "changes"),
    [
        ("generate", {"valid": None, "rejected": None, "reasons": []}),
        ("train", {"held": None}),
        ("train", {"kept": {}}),
        ("train", {"kept": None}),
        ("train", {"seconds": None}),
        ("evaluate", {"scores": None}),
        ("evaluate", {"flagged_dropped": None}),
        ("evaluate", {"peak_memory_bytes": {}}),
    ],
)
def test_figures_that_lamol_did_not_write_are_no_bug(
    tmp_path: Path, stage: str, changes: dict[str, Any]
) -> None:
    layout = Layout(tmp_path)
    assert read_changed(layout, stage).scores == {"a": 50.0}
    with pytest.raises(
        ArtifactError, match=naming(layout.reports / "figures" / "a.*.json", "dvc repro")
    ):
        read_changed(layout, stage, **changes)


def test_the_report_is_told_which_checks_found_poor_samples(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    of_audit = {"verdict": "fail", "failed": ["x"], "poor_samples_by": ["x"], "rows_flagged": 3}
    write_json(layout.figure("a", "audit"), {**of_audit, "checks": {}, **COST})
    summary = build_summary(settings("lamol"), [read_changed(layout, "")])
    assert summary["audits"] == {"a": of_audit}
