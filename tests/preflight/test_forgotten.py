"""Forgotten rows that would come back."""

from pathlib import Path

from lamol_core.preflight.problems import check_sequence
from tests.messages import names
from tests.preflight.sequences import demo, forget


def test_forgotten_rows_do_not_come_back_under_another_name(tmp_path: Path) -> None:
    forget("old", tmp_path, demo("base"))
    (problem,) = check_sequence({"tasks": {"new": demo("base", limit_train=30)}}, tmp_path)
    assert problem.startswith("tasks.new.source: ")
    assert names(problem, "old", "2026-01-01", tmp_path / ".lamol/forgotten/old")
    assert check_sequence({"tasks": {"new": demo("base", "query")}}, tmp_path) == []
    kept = {"old": demo("base"), "other": demo("old", "query")}
    assert check_sequence({"tasks": kept}, tmp_path) == []
    (problem,) = check_sequence({"tasks": {**kept, "old-2": demo("other")}}, tmp_path)
    assert problem.startswith("tasks.old-2.source: ")


def test_a_task_that_had_the_rows_when_another_forgot_them_keeps_them(tmp_path: Path) -> None:
    forget("old", tmp_path, demo("base"), also_of={"old-2": demo("old")})
    tasks = {"old": demo("base"), "old-2": demo("old")}
    assert check_sequence({"tasks": tasks}, tmp_path) == []
    (problem,) = check_sequence({"tasks": {**tasks, "old-3": demo("old")}}, tmp_path)
    assert problem.startswith("tasks.old-3.source: ")
    more = {"old": demo("base"), "old-2": demo("old", limit_train=500)}
    (problem,) = check_sequence({"tasks": more}, tmp_path)
    assert problem.startswith("tasks.old-2.source: "), "it had fewer rows"


def test_a_source_may_be_named_otherwise_after_a_forgetting(tmp_path: Path) -> None:
    rows = "".join(f"say {i},{'x' if i % 2 else 'y'}\n" for i in range(80))
    (tmp_path / "rows.csv").write_text("input,target\n" + rows)
    old, also, kept = (
        {"after": after, "source": {"kind": "csv", "path": path}}
        for after, path in (
            ("base", "rows.csv"),
            ("old", "./rows.csv"),
            ("base", str(tmp_path / "rows.csv")),
        )
    )
    forget("old", tmp_path, old, also_of={"also": {**also, "source": old["source"]}})
    assert check_sequence({"tasks": {"old": old, "also": also}}, tmp_path) == []
    forget("old", tmp_path, old, splits=("train",))
    assert check_sequence({"tasks": {"old": kept}}, tmp_path) == []


def test_held_out_rows_of_a_task_are_its_own_not_another_s(tmp_path: Path) -> None:
    forget("old", tmp_path, demo("base"))
    forget("kept", tmp_path, demo("base", "query"), splits=("train",))
    tasks = {"old": demo("base"), "kept": demo("old", "query")}
    assert check_sequence({"tasks": tasks}, tmp_path) == []
    (problem,) = check_sequence({"tasks": {**tasks, "kept": demo("old")}}, tmp_path)
    assert problem.startswith("tasks.kept.source: ") and names(problem, "old")


def test_a_source_that_was_emptied_can_hold_new_rows(tmp_path: Path) -> None:
    forget("old", tmp_path, demo("base"))
    (tmp_path / ".lamol" / "forgotten" / "old" / "source.json").unlink()
    assert check_sequence({"tasks": {"new": demo("base")}}, tmp_path) == []
