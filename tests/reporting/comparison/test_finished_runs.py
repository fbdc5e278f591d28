"""Folders and tables of kept runs: which are found, paired and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lamol_core.data.orders import order_tree
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.reporting.comparison.render import (
    comparison_json,
    comparison_markdown,
    comparison_tables,
    write_comparison,
)
from lamol_core.reporting.comparison.statistics import COLUMNS
from tests.messages import naming
from tests.reporting.comparison.finished import (
    compare_runs,
    many,
    read_folders,
    summary_of,
    write_run,
)


def test_a_folder_named_twice_counts_once(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "lamol_kd", 0, 80.0)
    write_run(tmp_path / ".dvc" / "tmp" / "exps" / "x", "lamol_kd", 1, 70.0)
    assert len(read_folders([tmp_path, tmp_path / "a"])) == 1


def test_folders_are_read_wherever_they_lie_and_written_as_three_files(tmp_path: Path) -> None:
    for seed in range(6):
        write_run(tmp_path / "runs" / f"a{seed}", "lamol_kd", seed, 80.0 + seed % 3)
        write_run(tmp_path / "runs" / f"b{seed}", "finetune", seed, 20.0 + seed)
    runs = read_folders([tmp_path / "runs"])
    assert len(runs) == 12 and {r.method for r in runs} == {"lamol_kd", "finetune"}
    comparison = compare_runs(runs)
    write_comparison(comparison, tmp_path / "out")
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert text == comparison_markdown(comparison)
    titles = {column.key: column.title for column in COLUMNS}
    assert titles["forward_transfer"] not in text, "what no run has measured is no column"
    assert "| lamol_kd | 6 | 1 | 81.0 ± 0.9 [" in text
    kept = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert kept == json.loads(json.dumps(comparison_json(comparison)))
    assert kept["groups"][0]["figures"]["final_average"]["values"] == [80.0, 81.0, 82.0] * 2
    assert any(one["told_apart"] for one in kept["differences"])
    svg = (tmp_path / "out" / "comparison.svg").read_text()
    assert "lamol_kd" in svg and titles["final_average"] in svg
    assert [table.row_count for table in comparison_tables(comparison)] == [2, 2]


def test_runs_pair_by_what_their_files_hold(tmp_path: Path) -> None:
    """Copies of a sequence, each with a file of its own."""

    def made(name: str, method: str, seed: int, rows: str) -> None:
        source = {"kind": "csv", "path": "rows.csv"}
        tasks = {"a": {"after": "base", "source": source}}
        tasks["b"] = {"after": "a", "source": {"kind": "csv", "path": "folder"}}
        words = {"kind": "csv", "path": str(tmp_path / name / "rows.csv")}
        backbone = {"kind": "nano", "nano": {"corpus": [words]}}
        write_run(tmp_path / name, method, seed, 80.0 + seed, tasks, backbone=backbone)
        (tmp_path / name / "rows.csv").write_text(rows)
        (tmp_path / name / "folder").mkdir()
        (tmp_path / name / "folder" / "train.csv").write_text("the same")
        (tmp_path / name / "folder" / f"notes {name}").write_text("no rows")

    for seed in range(3):
        made(f"a{seed}", "lamol_kd", seed, "input,target")
        made(f"b{seed}", "finetune", seed, "input,target")
    comparison = compare_runs(read_folders([tmp_path]))
    assert [group.label for group in comparison.groups] == ["lamol_kd", "finetune"]
    assert comparison.differences
    made("c", "lamol_kd", 0, "other rows")
    labels = [group.label for group in compare_runs(read_folders([tmp_path])).groups]
    assert len(labels) == 3 and any("rows.csv, sha256" in label for label in labels)


def test_a_tree_of_orders_is_a_run_for_each(tmp_path: Path) -> None:
    tasks = {name: {"source": {"kind": "demo", "task": name}} for name in ("a", "b")}
    tree = order_tree(tasks, [["a", "b"], ["b", "a"]])
    assert list(tree) == ["a", "b", "b-2", "a-2"]
    write_run(tmp_path / "tree", "lamol_kd", 0, 80.0, tree)
    path = tmp_path / "tree" / "reports" / "summary.json"
    orders = ((80.0, ("a", "b")), (70.0, ("b-2", "a-2")))
    chains = [{**summary_of(*order), "method": "lamol_kd"} for order in orders]
    path.write_text(json.dumps({**chains[-1], "chains": chains}))
    write_run(tmp_path / "plain", "lamol_kd", 1, 90.0, order_tree(tasks, [["a", "b"]]))
    write_run(tmp_path / "other", "lamol", 0, 75.0, order_tree(tasks, [["a", "b"]]))
    comparison = compare_runs(read_folders([tmp_path]))
    assert [(g.label, len(g.names), g.num_orders) for g in comparison.groups] == [
        ("lamol_kd", 3, 2),
        ("lamol", 1, 1),
    ]
    assert {one.pairs.num for one in comparison.differences} == {1}, "order a, b of seed 0"


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=naming(tmp_path, "reports/summary.json")):
        read_folders([tmp_path])
    write_run(tmp_path / "a", "lamol", 0, 1.0)
    (tmp_path / "a" / "params.yaml").unlink()
    with pytest.raises(ArtifactError, match=naming(tmp_path / "a" / "params.yaml")):
        read_folders([tmp_path])
    left_out: list[ArtifactError] = []
    write_run(tmp_path / "c", "lamol", 2, 1.0)
    (tmp_path / "c" / "params.yaml").write_bytes(b"method: \xff")
    with pytest.raises(ArtifactError, match=naming(tmp_path / "a" / "params.yaml")):
        read_folders([tmp_path], leave_out=left_out.append)  # none would be left
    assert left_out == []
    write_run(tmp_path / "b", "lamol", 1, 1.0)
    with pytest.raises(ArtifactError, match=naming(tmp_path / "a" / "params.yaml")):
        read_folders([tmp_path])
    (kept,) = read_folders([tmp_path], leave_out=left_out.append)
    assert kept.name == str(tmp_path / "b") and len(left_out) == 2
    for error, name in zip(left_out, "ac", strict=True):
        assert f"{name}/params.yaml" in str(error)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=naming("--out", tmp_path / "file")):
        write_comparison(compare_runs(many("lamol", [1.0])), tmp_path / "file")


def test_a_summary_of_another_method_or_task_is_no_run_of_these_parameters(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "lamol", 0, 1.0)
    for old, new, gone in (("method: lamol", "method: ewc", "lamol"), ("  b:", "  c:", "b")):
        path = tmp_path / "a" / "params.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(ArtifactError, match=naming(path.parent, gone, "params.yaml")):
            read_folders([tmp_path])
        path.write_text(text)


def test_one_file_is_the_same_data_however_its_path_is_written(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("input,target\n")
    for method, path in (("lamol", "../rows.csv"), ("ewc", str(tmp_path / "rows.csv"))):
        tasks = {
            name: {"after": after, "source": {"kind": "csv", "path": path}}
            for name, after in (("a", "base"), ("b", "a"))
        }
        write_run(tmp_path / method, method, 0, 80.0, tasks)
    comparison = compare_runs(read_folders([tmp_path]))
    assert [group.label for group in comparison.groups] == ["ewc", "lamol"]
    assert {one.pairs.num for one in comparison.differences} == {1}
    assert len(read_folders([tmp_path], without=[tmp_path / "ewc"])) == 1


def test_a_folder_that_lamol_did_not_write_is_told(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "lamol", 0, 1.0)
    path = tmp_path / "a" / "params.yaml"
    for text, named in (("a: [", [path, "YAML"]), ("- 1", [path.parent, "reports/summary.json"])):
        path.write_text(text)
        with pytest.raises(ArtifactError, match=naming(*named)):
            read_folders([tmp_path])


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"name": "a"}', '{"name": "a", "commits": 1, "params": {}, "chains": []}']
)
def test_a_line_that_is_no_kept_run_is_named(tmp_path: Path, line: str) -> None:
    table = tmp_path / "kept.jsonl"
    whole = {"name": "a", "commits": [], "params": {}, "chains": []}
    table.write_text(f"{json.dumps(whole)}\n{line}\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=naming(table, 2)):
        read_folders([table])
    for content in (b"\xff\n", b""):
        table.write_bytes(content)
        with pytest.raises(ArtifactError, match=naming(table, 1)):
            read_folders([table])
