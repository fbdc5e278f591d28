"""A row as token ids: what methods and training pass around."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamol_core.records import Origin, View
from lamol_core.text.template import ControlTokens, TokenSequence, gen_view, qa_view


@dataclass(frozen=True)
class EncodedRow:
    """One row of a training set as token ids, with the GEN token of its task."""

    row_id: str
    origin: Origin
    input_ids: Sequence[int]
    target_ids: Sequence[int]
    gen_token: int

    def views(self, views: Sequence[View], control: ControlTokens) -> list[TokenSequence]:
        x, y = self.input_ids, self.target_ids
        return [
            qa_view(x, y, control) if view == "qa" else gen_view(x, y, control, self.gen_token)
            for view in views
        ]
