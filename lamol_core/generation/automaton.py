"""An automaton that allows only those tokens that keep a sample well formed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lamol_core.decoding.samplers import Candidates, FreeFormat
from lamol_core.generation.characters import UNREACHABLE, WHOLE, CharacterSteps
from lamol_core.text.params import TextParams
from lamol_core.text.template import RowTemplate

NEVER = float("-inf")
IN_X, IN_LONE_X, IN_Y, IN_HEADER, IN_BETWEEN = range(5)
"""The part of its sequence that a row is in. A lone x is not followed by y."""


class FormatAutomaton(FreeFormat):
    """Each row is in x, in the header, in y or between two turns, which decides the tokens that may
    come next.

    In x: x may not stay empty. Every id that ends a part counts as the one that ends x (their
    probabilities are added). In the header and between turns: the next id alone. In y: y may not
    stay empty. After y the next turn begins, until the row has ended. At a length limit the row
    must go on, or end. A part neither ends nor meets its limit inside a character (`characters`),
    and no text has ids of `never_in_text`. Rows in `x_only` have their y in the prompt, and end
    after x."""

    def __init__(
        self,
        x_only: Sequence[bool],
        template: RowTemplate,
        limits: TextParams,
        characters: CharacterSteps,
    ) -> None:
        device, num_rows = characters.next_state.device, len(x_only)
        self._limits, self._characters = limits, characters
        given = template.header, template.between
        longest = max(map(len, given)) + 1  # at least one column
        padded = [[*ids, *[template.end] * (longest - len(ids))] for ids in given]
        self._given = torch.tensor(padded, device=device)  # of IN_HEADER and IN_BETWEEN
        self._num_given = torch.tensor([len(ids) for ids in given], device=device)
        self._ends = torch.tensor(
            [template.end_of_input, template.end_of_lone_input, template.end], device=device
        )
        self._combined = sorted({template.end_of_input, template.end})
        from_whole = characters.missing[WHOLE]
        self._control_ids = torch.cat([self._ends, self._given.flatten()]).unique()
        # what is given may be text too, such as the line end after the name of a role
        not_text = {*self._ends.tolist(), *template.never_in_text}
        self._not_text = torch.tensor(sorted(not_text), device=device)
        unwritable = from_whole == UNREACHABLE
        unwritable[self._not_text] = True
        self._never = unwritable.nonzero()[:, 0]
        self._most_missing = int(from_whole[from_whole < UNREACHABLE].max())
        self._character = torch.full((num_rows,), WHOLE, dtype=torch.long, device=device)
        self._part = torch.where(torch.tensor(x_only, device=device), IN_LONE_X, IN_X)
        self._length = torch.zeros(num_rows, dtype=torch.long, device=device)

    def candidates(self, logits: Tensor, rows: Tensor, topk: int) -> Candidates:
        control = logits[:, self._control_ids]  # a copy: what is in the logits is written over
        part, length = self._part[rows], self._length[rows]
        # the id that ends the row's part, or that comes next in what is given
        is_given = part >= IN_HEADER
        place = length.clamp(max=self._given.shape[1] - 1)
        given = self._given[(part - IN_HEADER).clamp(min=0), place]
        next_id = torch.where(is_given, given, self._ends[part.clamp(max=IN_Y)])
        ending = logits.gather(1, next_id[:, None])[:, 0].float()
        of_x = logits[:, self._combined[0]].float()
        for token in self._combined[1:]:
            of_x = torch.logaddexp(of_x, logits[:, token].float())
        ending = torch.where(part == IN_X, of_x, ending)

        inside = self._character[rows] != WHOLE
        limits = self._limits
        limit = torch.where(part == IN_Y, limits.max_target_tokens, limits.max_input_tokens)
        room = (limit - length - 1).clamp(max=UNREACHABLE - 1)  # tokens that can follow

        # inside a character, or near the limit, it matters what each token leaves to be written
        strict = inside | (room < self._most_missing)
        missing = self._characters.missing[self._character[rows[strict]]]
        checked = logits[strict].masked_fill_(missing > room[strict, None], NEVER)
        checked.index_fill_(1, self._not_text, NEVER)
        logits.index_fill_(1, self._never, NEVER)
        logits[strict] = checked
        text = super().candidates(logits, rows, topk)

        ending.masked_fill_((length == 0) | inside, NEVER)
        forced = (length >= limit) | is_given
        ending.masked_fill_(forced, 0.0)
        values = torch.cat(
            [text.values.masked_fill(forced[:, None], NEVER), ending[:, None]], dim=1
        )
        logits[:, self._control_ids] = control  # they can be chosen, so they stay as they were
        ids = torch.cat([text.ids, next_id[:, None]], dim=1)
        values, order = values.topk(min(topk, values.shape[1]), dim=1)
        return Candidates(values, ids.gather(1, order))

    def advance(self, tokens: Tensor, rows: Tensor) -> None:
        part, length = self._part[rows], self._length[rows] + 1
        for text, given, following in ((IN_X, IN_HEADER, IN_Y), (IN_Y, IN_BETWEEN, IN_X)):
            ends = (self._part[rows] == text) & (tokens == self._ends[text])
            part, length = torch.where(ends, given, part), torch.where(ends, 0, length)
            # where nothing is given, it is left at once
            ends = (part == given) & (length == self._num_given[given - IN_HEADER])
            part, length = torch.where(ends, following, part), torch.where(ends, 0, length)
        self._part[rows], self._length[rows] = part, length
        self._character[rows] = self._characters.next_state[self._character[rows], tokens].long()
