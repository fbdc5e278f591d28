"""The judge keeps a drawn row only where its input has the label that was asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lamol_core.errors import GenerationError
from lamol_core.generation.carry_over import count_rows
from lamol_core.generation.drawing import draw_from_checkpoint, usable_by_label
from lamol_core.generation.judging import Judge
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request
from lamol_core.models.discriminant import NO_CLASSES, LabelOf
from lamol_core.records import Example, PseudoSample
from lamol_core.text.params import TextParams
from tests.generation.drawn import of_labels
from tests.messages import naming

LABELS = ["short", "long"]


@dataclass(frozen=True)
class Lengths:
    """Features that tell the length of a text alone."""

    def as_written(self, texts: Sequence[str]) -> list[str]:
        return list(texts)

    def of(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[float(len(text)), 1.0] for text in texts]).reshape(-1, 2)


def judge_of(*classes: tuple[str, str, int]) -> Judge:
    """A judge that knows labels of tasks by the length of their inputs."""
    labels = [LabelOf(task, label) for task, label, _ in classes for _ in range(2)]
    texts = ["x" * (length + i) for _, _, length in classes for i in range(2)]
    return Judge(Lengths(), NO_CLASSES.with_rows(labels, Lengths().of(texts)))  # type: ignore[arg-type]


def sample(task: str, text: str, target: str) -> PseudoSample:
    return PseudoSample("b/pseudo/a/0.1", task, 0, 1, text, target, [], [], True, "", 0.0, 0, "")


def test_it_agrees_with_the_label_and_the_task() -> None:
    judge = judge_of(("a", "short", 2), ("a", "long", 20), ("b", "short", 40))
    cases = [
        ("a", "xx", "Short ", True),
        ("a", "xx", "long", False),
        ("a", "x" * 40, "short", False),
        ("b", "x" * 40, "short", True),
        ("free", "x", "whatever", True),
    ]
    samples = [sample(task, text, target) for task, text, target, _ in cases]
    assert judge.agrees(samples) == [agrees for *_, agrees in cases]
    assert judge.agrees([]) == []


def test_it_learns_the_labels_of_a_task_and_keeps_the_others() -> None:
    rows = [Example(f"b/train/{i}", "b", "x" * i, "Huge", 0) for i in (80, 81)]
    judge = judge_of(("a", "short", 2))
    learnt = judge.with_rows(rows)
    assert learnt.learnt.classes == (("a", "short"), ("b", "huge"))
    assert learnt.agrees([sample("b", "x" * 70, "huge")]) == [True]
    assert judge.with_rows([]).learnt is judge.learnt


def test_what_it_keeps_for_the_next_task_is_counted() -> None:
    next_one = judge_of(("a", "short", 2), ("b", "long", 9)).learnt
    judge = replace(judge_of(("a", "short", 2)), with_new_task=next_one)
    counts = count_rows([], [], GenerateParams(), judge=judge)
    assert counts["kept_bytes"] == next_one.num_bytes


def drawn(
    checkpoint: Path, judge: Judge, max_attempts: int, carried: Sequence[PseudoSample] = ()
) -> list[PseudoSample]:
    text = TextParams(gen_order="target_first", max_input_tokens=6, max_target_tokens=3)
    params = GenerateParams(topk=300, max_attempts=max_attempts)
    return draw_from_checkpoint(
        checkpoint, "abc", {"a": 8}, params, text,
        new_task="new", seed=0, facts_by_task={"a": of_labels("a", LABELS)}, judge=judge,
        carried=carried,
    )  # fmt: skip


def test_rows_of_another_label_are_drawn_again(tiny_checkpoint: Path) -> None:
    judge = judge_of(("a", "short", 4), ("a", "long", 16))
    samples = drawn(tiny_checkpoint, judge, 200)
    valid = [s for s in samples if s.valid]
    assert sorted(s.target for s in valid) == ["long"] * 4 + ["short"] * 4
    assert all(judge.agrees(valid))
    others = [s for s in samples if s.reject_reason == "other_label"]
    assert others and not any(judge.agrees(others))


def test_a_label_that_is_no_longer_written_is_told_and_left_out(
    tiny_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judge = judge_of(("a", "short", 10), ("a", "long", 10_000))
    with caplog.at_level(logging.WARNING):
        samples = drawn(tiny_checkpoint, judge, 3)
    assert [s.target for s in samples if s.valid] == ["short"] * 4
    assert "4 of 8" in caplog.text and "0 of 12 draws for 'long'" in caplog.text


def test_without_any_row_drawing_fails(tiny_checkpoint: Path) -> None:
    judge = judge_of(("a", "other", 10), ("a", "long", 10_000))
    with pytest.raises(GenerationError, match=naming("a", "other_label")):
        drawn(tiny_checkpoint, judge, 2)


def test_rows_carried_over_hold_a_task_of_which_no_more_can_be_drawn(
    tiny_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    carried = [sample("a", f"row {i}", label) for i in range(3) for label in LABELS]
    hard = judge_of(("a", "other", 10), ("a", "long", 10_000))
    with caplog.at_level(logging.WARNING):
        samples = drawn(tiny_checkpoint, hard, 2, carried)
    assert [s for s in samples if s.valid] == carried
    assert "2 of 8" in caplog.text


def test_only_labels_that_have_too_few_rows_are_listed() -> None:
    short, long = sample("a", "one", "short"), sample("a", "rather long", "long")
    rows = [replace(short, target_ids=[1]), replace(long, target_ids=[2])]
    asked = Request("a", 3, ((1,), (1,), (2,)))
    assert "1 of 1 draws for 'short'" in usable_by_label(asked, rows)
    assert "'long'" not in usable_by_label(asked, rows)
    assert usable_by_label(Request("a", 2, ((1,), (2,))), rows) == ""
