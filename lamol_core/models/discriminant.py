"""Linear discriminant analysis that learns task by task and keeps no rows.

It keeps the mean of each class and one covariance that all classes share (streaming LDA: Hayes and
Kanan 2020, "Lifelong Machine Learning with Deep Streaming Linear Discriminant Analysis"). What it
learns does not depend on the order of the tasks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

FILE = "statistics.safetensors"


class LabelOf(NamedTuple):
    """A class: a label of a task."""

    task: str
    label: str


@dataclass(frozen=True)
class Discriminant:
    """The statistics of C classes in d dimensions, in float64. `means` (C, d), `counts` (C,), and
    `scatter` (d, d): the sum over all rows of the outer product of their distance from their
    class's mean."""

    classes: tuple[LabelOf, ...]
    counts: Tensor
    means: Tensor
    scatter: Tensor

    def with_rows(self, labels: Sequence[LabelOf], features: Tensor) -> Discriminant:
        """These statistics and those of new classes. `features` (n, d): the rows of `labels` (n),
        which hold every row of each new class."""
        new = tuple(sorted(set(labels)))
        assert set(new).isdisjoint(self.classes), "a class is learnt once"
        index = torch.tensor([new.index(label) for label in labels])
        rows = features.double()
        counts = torch.bincount(index, minlength=len(new)).double()
        sums = torch.zeros(len(new), rows.shape[1], dtype=rows.dtype).index_add_(0, index, rows)
        means = sums / counts[:, None]
        distances = rows - means[index]
        scatter = distances.T @ distances
        if not self.classes:
            return Discriminant(new, counts, means, scatter)
        return Discriminant(
            (*self.classes, *new),
            torch.cat([self.counts, counts]),
            torch.cat([self.means, means]),
            self.scatter + scatter,
        )

    def scores(self, features: Tensor) -> Tensor:
        """The log-likelihood of each class for each row, up to a constant of the row: (n, C)."""
        weights = torch.linalg.solve(self._covariance(), self.means.T)  # (d, C)
        scores: Tensor = features.double() @ weights - (self.means.T * weights).sum(dim=0) / 2
        return scores

    def distances(self, features: Tensor) -> Tensor:
        """The squared Mahalanobis distance of each row from each class's mean: (n, C)."""
        rows = features.double()
        own: Tensor = (rows * torch.linalg.solve(self._covariance(), rows.T).T).sum(dim=1)
        return own[:, None] - 2 * self.scores(features)

    def classify(self, features: Tensor) -> list[LabelOf]:
        """The likeliest class of each row."""
        return [self.classes[index] for index in self.scores(features).argmax(dim=1).tolist()]

    @property
    def num_bytes(self) -> int:
        """The bytes of the statistics as `write` keeps them, in fp32."""
        return 4 * (self.counts.numel() + self.means.numel() + self.scatter.numel())

    def _covariance(self) -> Tensor:
        """The shared covariance (d, d), shrunk towards a multiple of the identity by as much as the
        number of rows asks for (Chen, Wiesel, Eldar and Hero 2010, "Shrinkage Algorithms for MMSE
        Covariance Estimation", the estimator OAS)."""
        n, d = max(int(self.counts.sum()) - len(self.classes), 1), len(self.scatter)
        covariance, identity = self.scatter / n, torch.eye(d, dtype=self.scatter.dtype)
        level = covariance.trace() / d
        if level == 0:  # no class has two different rows
            return identity
        spread, scale = (covariance**2).mean(), level**2
        share = ((spread + scale) / ((n + 1) * (spread - scale / d))).clamp(0, 1)
        return (1 - share) * covariance + share * level * identity

    def write(self, folder: Path) -> dict[str, int]:
        """Write the statistics into a folder, in fp32; returns the number of classes."""
        if self.classes:
            tensors = {"counts": self.counts, "means": self.means, "scatter": self.scatter}
            single = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
            save_file(single, folder / FILE, metadata={"classes": json.dumps(self.classes)})
        return {"classes": len(self.classes)}

    @classmethod
    def load(cls, folder: Path) -> Discriminant:
        """Read what `write` wrote: statistics of no class, or of some."""
        if not (folder / FILE).is_file():
            return NO_CLASSES
        with safe_open(folder / FILE, framework="pt") as file:
            classes = tuple(LabelOf(*pair) for pair in json.loads(file.metadata()["classes"]))
            tensors = {name: file.get_tensor(name).double() for name in file.keys()}  # noqa: SIM118
        return cls(classes, **tensors)


NO_CLASSES = Discriminant((), torch.zeros(0), torch.zeros(0, 0), torch.zeros(0, 0))
