"""Two sources of the same rows are known for it, whatever their paths are called."""

from pathlib import Path
from typing import Any

import pytest

from lamol_core.data.overlap import may_share_rows
from lamol_core.data.sources.registry import Source, parse_source


def source(**block: Any) -> Source:
    return parse_source({"kind": "csv", **block})


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({"path": "a.csv"}, {"path": "a.csv", "limit_train": 3, "input": "text"}, True),
        ({"path": "a.csv"}, {"path": "./sub/../a.csv"}, True),
        ({"path": "a.csv"}, {"path": "link.csv"}, True),
        ({"path": "a.csv"}, {"path": "b.csv"}, False),
        ({"path": "folder"}, {"path": "folder/train.csv"}, True),
        ({"path": "folder"}, {"path": "folder/test.csv"}, True),
        ({"path": "folder"}, {"path": "folder/other.csv"}, False),
        ({"path": "gone"}, {"path": "gone"}, True),
        ({"path": "gone"}, {"path": "gone.csv"}, False),
        ({"path": "a.csv", "where": {"part": 1}}, {"path": "a.csv", "where": {"part": 2}}, False),
        ({"path": "a.csv", "where": {"part": 1}}, {"path": "a.csv", "where": {"part": "1"}}, True),
        (
            {"path": "a.csv", "where": {"part": ["x", "y"]}},
            {"path": "a.csv", "where": {"part": ["y", "z"]}},
            True,
        ),
        (
            {"path": "a.csv", "where": {"part": ["x", "y"], "more": 1}},
            {"path": "a.csv", "where": {"part": "z", "more": 1}},
            False,
        ),
        ({"path": "a.csv", "where": {"part": 1}}, {"path": "a.csv", "where": {"other": 2}}, True),
        ({"path": "a.csv"}, {"path": "a.csv", "where": {"part": 1}}, True),
        ({"path": "a.csv", "where": {"c": "01"}}, {"path": "a.csv", "where": {"c": "1"}}, False),
        ({"path": "a.csv", "where": {"c": "nan"}}, {"path": "a.csv", "where": {"c": "nan"}}, True),
        ({"path": "a.csv", "where": {"c": True}}, {"path": "a.csv", "where": {"c": "TRUE"}}, True),
        ({"path": "a.csv", "where": {"c": True}}, {"path": "a.csv", "where": {"c": 1}}, False),
        ({"path": "a.csv", "where": {"c": 1.0}}, {"path": "a.csv", "where": {"c": 1}}, True),
        ({"kind": "hub", "path": "folder"}, {"path": "folder"}, True),
        ({"kind": "hub", "path": "folder"}, {"path": "folder/train.csv"}, True),
        ({"kind": "hub", "path": "folder"}, {"path": "a.csv"}, False),
        (
            {"kind": "hub", "path": "folder"},
            {"kind": "hub", "path": "./folder", "name": "default"},
            True,
        ),
        ({"kind": "demo", "task": "home"}, {"kind": "demo", "task": "home"}, True),
        ({"kind": "demo", "task": "home"}, {"kind": "demo", "task": "query"}, False),
        ({"kind": "hub", "path": "me/x"}, {"kind": "hub", "path": "me/x", "test": "test"}, True),
        ({"kind": "hub", "path": "me/x"}, {"kind": "hub", "path": "me/x", "name": "part"}, False),
        ({"kind": "hub", "path": "me/x"}, {"kind": "hub", "path": "me/x", "train": "dev"}, False),
        ({"kind": "hub", "path": "me/x"}, {"path": "me/x"}, False),
    ],
)
def test_where_two_sources_read_decides(
    one: dict[str, Any], other: dict[str, Any], shared: bool, tmp_path: Path
) -> None:
    for name in ("a.csv", "b.csv", "folder/train.csv", "folder/test.csv", "folder/other.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("input,target\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.csv").symlink_to("a.csv")
    assert may_share_rows(source(**one), source(**other), tmp_path) is shared
    assert may_share_rows(source(**other), source(**one), tmp_path) is shared
