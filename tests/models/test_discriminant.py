"""The judge's parts: features of the frozen backbone, and a discriminant that keeps no rows."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from lamol_core.models.checkpoints import load_model
from lamol_core.models.discriminant import FILE, NO_CLASSES, Discriminant, LabelOf
from lamol_core.models.features import MOST_TOKENS, FrozenFeatures, cut_blocks
from lamol_core.text.codecs import load_codec
from tests.fakes import GROUPED_ARCHITECTURES, OTHER_ARCHITECTURES

TEXTS = ["book me a flight", "cancel", "", "what is the weather in paris today"]
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
    tensors = load_file(tmp_path / FILE).values()
    assert learnt.num_bytes == sum(tensor.nbytes for tensor in tensors) > 0


def test_without_a_class_nothing_is_written(tmp_path: Path) -> None:
    assert NO_CLASSES.write(tmp_path) == {"classes": 0}
    assert list(tmp_path.iterdir()) == [] and Discriminant.load(tmp_path).classes == ()


def test_a_feature_is_the_mean_of_the_middle_layer(tiny_checkpoint: Path) -> None:
    features = FrozenFeatures(tiny_checkpoint).of(TEXTS)
    model, codec = load_model(tiny_checkpoint, torch.device("cpu")), load_codec(tiny_checkpoint)
    for text, found in zip(TEXTS, features, strict=True):
        ids = torch.tensor([codec.encode([text])[0] or [codec.control.eos]])
        layers = model.base_model(input_ids=ids, output_hidden_states=True).hidden_states
        expected = layers[len(layers) // 2][0].mean(dim=0)
        assert torch.allclose(found, expected, atol=1e-5)
        assert not torch.allclose(found, layers[-1][0].mean(dim=0), atol=1e-2)


def test_a_text_has_one_feature_in_any_company(tiny_checkpoint: Path) -> None:
    of = FrozenFeatures(tiny_checkpoint).of
    assert torch.allclose(of(TEXTS), torch.cat([of([text]) for text in TEXTS]), atol=1e-5)
    assert of([]).shape[0] == 0


def test_of_a_long_text_the_end_is_read(tiny_checkpoint: Path) -> None:
    """Attention over a whole document would take more memory than there is."""
    features, codec = FrozenFeatures(tiny_checkpoint), load_codec(tiny_checkpoint)
    ids = codec.encode(["cancel my flight to paris " * MOST_TOKENS])[0]
    whole, end = (codec.decode(some) for some in (ids, ids[-MOST_TOKENS:]))
    assert codec.encode([end])[0] == ids[-MOST_TOKENS:]
    assert torch.allclose(features.of([whole]), features.of([end]), atol=1e-5)


@pytest.mark.parametrize("name", sorted(GROUPED_ARCHITECTURES | OTHER_ARCHITECTURES))
def test_cut_models_have_the_states_of_whole_ones(name: str) -> None:
    model, ids = (GROUPED_ARCHITECTURES | OTHER_ARCHITECTURES)[name](), torch.arange(8)[None]
    depth = model.config.num_hidden_layers

    def middle() -> Tensor:
        states = model.base_model(input_ids=ids, output_hidden_states=True).hidden_states
        return states[depth // 2].detach()

    whole, size = middle(), sum(1 for _ in model.parameters())
    cut_blocks(model, depth, depth // 2 + 1)
    assert torch.equal(middle(), whole)
    cut_blocks(model, depth // 2 + 1, 1)
    assert sum(1 for _ in model.parameters()) < size, "its blocks are found"
