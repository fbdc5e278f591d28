"""Summary: chains of a plain sequence and of a tree, totals, errors, tables."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from lamol_core.errors import ArtifactError
from lamol_core.evaluation.matrix import ZeroShot
from lamol_core.parameters import Params
from lamol_core.reporting.advice import poor_share
from lamol_core.reporting.summary import TaskFigures, build_summary
from lamol_core.reporting.tables import headline, markdown_row, score_table
from tests.messages import names, names_in_order, naming


def settings(method: str = "lamol_kd", **blocks: object) -> dict[str, Any]:
    """params.yaml with all defaults."""
    return Params.model_validate({"tasks": {}, "method": method, **blocks}).effective_params()


def figures(
    task: str, after: str, scores: Sequence[float], before: Sequence[str] = (), **changes: object
) -> TaskFigures:
    tasks = [*before, task]
    values: dict[str, object] = {
        "task": task,
        "after": after,
        "scores": dict(zip(tasks, scores, strict=True)),
        "num_test_rows": dict.fromkeys(tasks, 10),
        "seconds": {"generate": 2.0, "train": 10.0},
        "peak_memory_bytes": 100 * len(tasks),
        "pseudo": {"valid": 90, "rejected": 10} if before else {"valid": 0, "rejected": 0},
        "held": {earlier: {"rows": 80, "classes": 8} for earlier in before},
        **changes,
    }
    return TaskFigures(**values)  # type: ignore[arg-type]


SEQUENCE = [
    figures("a", "base", [80.0]),
    figures("b", "a", [79.0, 81.0], ["a"]),
    figures("c", "b", [78.0, 80.0, 82.0], ["a", "b"]),
]
# a, then b and c after it, then d after b
TREE = [
    figures("a", "base", [80.0]),
    figures("b", "a", [70.0, 90.0], ["a"]),
    figures("c", "a", [60.0, 50.0], ["a"]),
    figures("d", "b", [65.0, 85.0, 95.0], ["a", "b"]),
]


def test_plain_sequence() -> None:
    summary = build_summary(settings("lamol_kd"), SEQUENCE)
    assert summary["tasks"] == ["a", "b", "c"]
    assert summary["score_matrix"] == [[80.0], [79.0, 81.0], [78.0, 80.0, 82.0]]
    assert summary["final_average"] == pytest.approx(80.0)
    assert summary["forgetting"] == pytest.approx(1.5)
    assert summary["backward_transfer"] == pytest.approx(-1.5)
    assert summary["forward_transfer"] is None
    assert summary["seconds"] == pytest.approx(36.0)
    assert summary["seconds_by_stage"] == {"generate": 6.0, "train": 30.0}
    assert summary["peak_memory_bytes"] == 300
    assert summary["pseudo"]["b"] == {"valid": 90, "rejected": 10}
    assert summary["advice"] == []
    (chain,) = summary["chains"]
    assert chain == {key: value for key, value in summary.items() if key != "chains"}


def test_order_of_the_figures_does_not_matter_and_json_holds_all() -> None:
    summary = build_summary(settings("ewc"), SEQUENCE)
    assert build_summary(settings("ewc"), SEQUENCE[::-1]) == summary
    assert json.loads(json.dumps(summary)) == summary


def test_tree_has_a_chain_for_each_leaf() -> None:
    summary = build_summary(settings("lamol"), TREE)
    assert [chain["tasks"] for chain in summary["chains"]] == [["a", "c"], ["a", "b", "d"]]
    assert summary["tasks"] == ["a", "b", "d"]  # ends in the last task of params.yaml
    assert summary["chains"][0]["forgetting"] == pytest.approx(20.0)
    assert summary["chains"][0]["seconds"] == pytest.approx(24.0)


def test_tree_whose_last_task_is_no_leaf_shows_the_last_leaf() -> None:
    summary = build_summary(settings("lamol"), TREE[::-1])
    assert [chain["tasks"] for chain in summary["chains"]] == [["a", "b", "d"], ["a", "c"]]
    assert summary["tasks"] == ["a", "c"]


def test_one_task() -> None:
    summary = build_summary(settings("lamol_kd"), SEQUENCE[:1])
    assert summary["forgetting"] is None
    assert summary["backward_transfer"] is None
    assert summary["advice"] == []
    assert names(headline(summary), "forgetting")
    assert not re.search(r"forgetting [-\d]", headline(summary))


def test_each_machine_is_named_once() -> None:
    here, there = {"processor": "Abacus 9"}, {"processor": "Slide Rule"}
    rows = [
        figures("a", "base", [80.0], machine=here),
        figures("b", "a", [79.0, 81.0], ["a"], machine=there),
        figures("c", "b", [78.0, 80.0, 82.0], ["a", "b"], machine=here),
    ]
    assert build_summary(settings("lamol_kd"), rows)["machines"] == [here, there]
    assert build_summary(settings("lamol_kd"), SEQUENCE)["machines"] == []


def test_texts_said_twice_are_no_poor_ones() -> None:
    counts = {"valid": 160, "rejected": 333, "duplicates": 115}
    assert poor_share(counts) == (333 - 115) / 493
    assert poor_share({"valid": 0, "rejected": 0, "carried": 70}) is None


def test_forward_transfer_is_there_when_every_later_task_was_measured() -> None:
    first, second, third = SEQUENCE
    second = replace(second, zero_shot=ZeroShot(12.0, 2.0))
    assert build_summary(settings("ewc"), [first, second])["forward_transfer"] == 10.0
    assert build_summary(settings("ewc"), [first, second, third])["forward_transfer"] is None


def test_missing_score() -> None:
    rows = [SEQUENCE[0], figures("b", "a", [80.0])]
    with pytest.raises(ArtifactError, match=naming("'b'", "['a']", "evaluate@b")):
        build_summary(settings("lamol"), rows)


def test_what_would_end_a_cell_or_begin_a_tag_is_escaped() -> None:
    assert markdown_row("a|x", "<b>", "80.0") == r"| a\|x | &lt;b> | 80.0 |"


def test_gaps_are_told() -> None:
    rows = [figures("a", "base", [80.0]), figures("b", "a", [70.0, 90.0], ["a"])]
    rows[1].scores["a"] = None
    summary = build_summary(settings("lamol_kd"), rows)
    assert summary["not_scored"] == ["a"] and summary["final_average"] == 90.0
    assert names(headline(summary), "a", "90.0")
    assert "90.0" in _rendered(summary)


def test_terminal_table_shows_every_score_and_no_markup() -> None:
    rows = [figures("[red]", "base", [81.5]), figures("b", "[red]", [70.5, 90.5], ["[red]"])]
    shown = _rendered(build_summary(settings("lamol"), rows))
    assert all(text in shown for text in ("[red]", "81.5", "70.5", "90.5"))
    assert names_in_order(shown, "forgetting", "11.0")


def test_terminal_table_of_many_tasks_fits() -> None:
    names = [f"task{i}" for i in range(50)]
    rows = [
        figures(name, names[i - 1] if i else "base", [90.0 - i] * i + [95.0], names[:i])
        for i, name in enumerate(names)
    ]
    shown = _rendered(build_summary(settings("lamol"), rows))
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "task49" in shown and "+54.0" in shown  # task0: best 95.0, now 41.0


def _rendered(summary: dict[str, object]) -> str:
    console = Console(width=80, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(score_table(summary))
    return capture.get()
