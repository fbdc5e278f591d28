"""A row as token ids, and the sequences (views) that a model learns from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Protocol

from lamol_core.records import Origin, View

IGNORED = -100


class Decodes(Protocol):
    """What turns the ids of an input and of a target into text: a TextCodec."""

    def decode_input(self, ids: Sequence[int]) -> str: ...
    def decode_target(self, ids: Sequence[int]) -> str: ...


Part = tuple[Sequence[int], bool]
"""A stretch of token ids, and whether it is supervised."""
Turns = Sequence[tuple[Sequence[int], Sequence[int]]]
"""The turns before x, oldest first: the ids of each user's text and of its answer."""
Texts = tuple[Turns, Sequence[int], Sequence[int]]
"""The ids of a row's texts: the turns before x, x, and y."""


@dataclass(frozen=True)
class EncodedView:
    """One view of one row: its token ids, and the ranges [start, stop) of the supervised ones."""

    row_id: str
    origin: Origin
    view: View
    ids: tuple[int, ...]
    supervised: tuple[tuple[int, int], ...]

    @property
    def labels(self) -> tuple[int, ...]:
        """Its ids, with IGNORED in place of those that are not supervised."""
        labels = [IGNORED] * len(self.ids)
        for start, stop in self.supervised:
            labels[start:stop] = self.ids[start:stop]
        return tuple(labels)

    @property
    def num_supervised(self) -> int:
        return sum(stop - start for start, stop in self.supervised)


@dataclass(frozen=True)
class EncodedRow:
    """One row of a training set as token ids. `parts`: each of its views as stretches of ids.
    `history`: the turns before its input."""

    row_id: str
    origin: Origin
    task: str
    input_ids: Sequence[int]
    target_ids: Sequence[int]
    parts: Mapping[View, tuple[Part, ...]]
    history: Turns = ()

    @property
    def num_text(self) -> int:
        """The number of ids of its texts."""
        return sum(map(len, (self.input_ids, self.target_ids, *chain(*self.history))))

    @property
    def num_longest(self) -> int:
        """The number of ids of its longest view."""
        return max(sum(len(ids) for ids, _ in parts) for parts in self.parts.values())

    def views(self, views: Sequence[View]) -> list[EncodedView]:
        """The row's sequences for these views, in this order."""
        made = []
        for view in views:
            parts = self.parts[view]
            ids = tuple(token for stretch, _ in parts for token in stretch)
            ranges = pairwise(accumulate((len(stretch) for stretch, _ in parts), initial=0))
            learnt = (one for one, (_, supervised) in zip(ranges, parts, strict=True) if supervised)
            made.append(EncodedView(self.row_id, self.origin, view, ids, tuple(learnt)))
        return made
