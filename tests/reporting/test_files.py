"""The report's files, where there is little to report."""

from __future__ import annotations

from pathlib import Path

from lamol_core.reporting.files import write_report
from lamol_core.reporting.summary import build_summary
from lamol_core.storage.layout import Layout
from tests.reporting.test_summary import figures


def test_a_report_is_written_when_no_score_is_left(tmp_path: Path) -> None:
    """A task alone, whose rows were forgotten before it was evaluated."""
    summary = build_summary("lamol_kd", [figures("a", "base", [None])], ["a"])
    layout = Layout(tmp_path)
    write_report(layout, summary, {"a": []}, {"method": "lamol_kd"}, None)
    table = (layout.reports / "score_matrix.csv").read_text(encoding="utf-8")
    assert table == "step,after_learning,score_on,score\n"
    assert (layout.reports / "index.html").stat().st_size > 1000
