"""Tab-separated values."""

from pathlib import Path

from lamol_core.data.sources.registry import read_source
from tests.data.sources.tables import make, pairs_of


def test_quotation_marks_in_a_tsv_are_text(tmp_path: Path) -> None:
    lines = ["input\ttarget", '"good film\tpos', "bad one\tneg", 'the end"\tpos',
             '"Good" film\tpos', '"in ""quotes"", whole"\tneg']  # fmt: skip
    (tmp_path / "x.tsv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    rows = read_source(make(kind="tsv", path="x.tsv"), tmp_path)["train"]
    assert pairs_of(rows) == [
        ('"good film', "pos"),
        ("bad one", "neg"),
        ('the end"', "pos"),
        ('"Good" film', "pos"),
        ('in "quotes", whole', "neg"),
    ]
