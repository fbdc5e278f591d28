"""The discriminant: right by its definition, the same in any order of tasks, kept without rows."""

from pathlib import Path

import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from lamol_core.models.discriminant import NO_CLASSES, Discriminant, LabelOf

DIMENSIONS = 5


def make_task(
    task: str, num_classes: int, seed: int, rows: int = 40
) -> tuple[list[LabelOf], Tensor]:
    """`rows` rows of each class, whose dimensions are correlated."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(DIMENSIONS, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    labels = [LabelOf(task, f"label{i}") for i in range(num_classes) for _ in range(rows)]
    centres = torch.randn(num_classes, DIMENSIONS, generator=generator).repeat_interleave(rows, 0)
    return labels, centres + 0.4 * torch.randn(
        len(labels), DIMENSIONS, generator=generator
    ) @ mixing


def test_it_classifies_as_linear_discriminant_analysis_does() -> None:
    """With equal priors and without shrinkage the two are the same rule."""
    labels, features = make_task("a", 6, seed=1, rows=1000)
    learnt = NO_CLASSES.with_rows(labels, features)
    ours = learnt.classify(features)
    reference = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 6] * 6)
    names = [label.label for label in labels]
    theirs = reference.fit(features.numpy(), names).predict(features.numpy())
    same = sum(own.label == other for own, other in zip(ours, theirs, strict=True))
    assert same >= 0.995 * len(labels), "with many rows little is shrunk"
    assert (
        0.5 < sum(own == label for own, label in zip(ours, labels, strict=True)) / len(labels) < 1
    )


def test_the_order_of_tasks_changes_nothing() -> None:
    one, other = make_task("a", 3, seed=1), make_task("b", 4, seed=2)
    rows = torch.cat([one[1], other[1]])
    forward = NO_CLASSES.with_rows(*one).with_rows(*other)
    backward = NO_CLASSES.with_rows(*other).with_rows(*one)
    together = NO_CLASSES.with_rows([*one[0], *other[0]], rows)
    assert forward.classify(rows) == backward.classify(rows) == together.classify(rows)
    assert len(set(forward.classify(rows))) == 7


def test_fewer_rows_than_dimensions_can_be_classified() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, 50, generator=generator) + torch.arange(6)[:, None] // 3 * 4
    labels = [LabelOf("a", "low")] * 3 + [LabelOf("a", "high")] * 3
    assert NO_CLASSES.with_rows(labels, features).classify(features) == labels


@pytest.mark.parametrize("rows", [1, 2])
def test_classes_of_equal_rows_are_told_apart(rows: int) -> None:
    """Nothing varies within a class, so the covariance is zero."""
    labels = [LabelOf("a", "x")] * rows + [LabelOf("a", "y")] * rows
    features = torch.tensor([[0.0, 1.0]] * rows + [[1.0, 0.0]] * rows)
    assert NO_CLASSES.with_rows(labels, features).classify(features) == labels


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    labels, features = make_task("a", 3, seed=1)
    learnt = NO_CLASSES.with_rows(labels, features)
    assert learnt.write(tmp_path) == {"classes": 3}
    read = Discriminant.load(tmp_path)
    assert read.classes == learnt.classes and read.classify(features) == learnt.classify(features)
    assert torch.allclose(read.means, learnt.means, atol=1e-6)


def test_without_a_class_nothing_is_written(tmp_path: Path) -> None:
    assert NO_CLASSES.write(tmp_path) == {"classes": 0}
    assert list(tmp_path.iterdir()) == [] and Discriminant.load(tmp_path).classes == ()
