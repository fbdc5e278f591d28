"""A row as token ids, and the two sequences that a model learns from it.

QA   x ANS y EOS          supervised: y EOS
GEN  GEN_t x ANS y EOS    supervised: all after GEN_t
     GEN_t y GEN x EOS    supervised: x EOS, where the target comes first
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lamol_core.records import Origin, View
from lamol_core.text.template import ControlTokens


@dataclass(frozen=True)
class EncodedView:
    """One view of one row: its token ids, and the index of the first supervised id."""

    row_id: str
    origin: Origin
    view: View
    ids: tuple[int, ...]
    supervised_from: int

    @property
    def num_supervised(self) -> int:
        return len(self.ids) - self.supervised_from


@dataclass(frozen=True)
class EncodedRow:
    """One row of a training set as token ids, with the GEN token of its task."""

    row_id: str
    origin: Origin
    input_ids: Sequence[int]
    target_ids: Sequence[int]
    gen_token: int
    target_first: bool = False
    """Whether the GEN view begins with the target."""

    def views(self, views: Sequence[View], control: ControlTokens) -> list[EncodedView]:
        """The row's sequences for these views, in this order."""
        qa = (*self.input_ids, control.ans, *self.target_ids, control.eos)
        gen, free = (self.gen_token, *qa), 1
        if self.target_first:
            label = (self.gen_token, *self.target_ids, control.gen)
            gen, free = (*label, *self.input_ids, control.eos), len(label)
        of = {"qa": (qa, len(self.input_ids) + 1), "gen": (gen, free)}
        return [EncodedView(self.row_id, self.origin, view, *of[view]) for view in views]
