"""An automaton with two states that allows only those tokens that keep a sample well formed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lamol_core.decoding.samplers import Candidates, FreeFormat
from lamol_core.generation.characters import UNREACHABLE, WHOLE, CharacterSteps
from lamol_core.text.params import TextParams
from lamol_core.text.template import ControlTokens

NEVER = float("-inf")


class FormatAutomaton(FreeFormat):
    """Each row is in one of two states, `in x` or `in y`, which decide the tokens that may come
    next.

    In x: no GEN, and x may not stay empty. EOS counts as ANS (their probabilities are added). In y:
    no ANS, no GEN, and y may not stay empty. At a length limit the row must go on to y, or end. In
    both states neither is allowed inside a character (`characters`). Rows in `x_only` have their y
    in the prompt, and end after x."""

    def __init__(
        self,
        x_only: Sequence[bool],
        control: ControlTokens,
        limits: TextParams,
        characters: CharacterSteps,
    ) -> None:
        device = characters.next_state.device
        self._control, self._limits, self._characters = control, limits, characters
        from_whole = characters.missing[WHOLE]
        self._ends = torch.tensor([control.ans, control.eos], device=device)
        control_ids = [control.ans, control.eos, *control.never_in_text]
        self._control_ids = torch.tensor(control_ids, device=device)
        unwritable = from_whole == UNREACHABLE
        unwritable[self._control_ids] = True
        self._never = unwritable.nonzero()[:, 0]
        self._most_missing = int(from_whole[from_whole < UNREACHABLE].max())
        num_rows = len(x_only)
        self._character = torch.full((num_rows,), WHOLE, dtype=torch.long, device=device)
        self._x_only = torch.tensor(x_only, device=device)
        self._is_last = self._x_only.clone()  # whether EOS comes after this part
        self._length = torch.zeros(num_rows, dtype=torch.long, device=device)

    def candidates(self, logits: Tensor, rows: Tensor, topk: int) -> Candidates:
        ends = logits[:, self._ends]  # a copy: what is in the logits is written over
        ans, eos = ends.float().unbind(dim=1)
        is_last, length = self._is_last[rows], self._length[rows]
        in_target = is_last & ~self._x_only[rows]
        inside = self._character[rows] != WHOLE
        limits = self._limits
        limit = torch.where(in_target, limits.max_target_tokens, limits.max_input_tokens)
        room = (limit - length - 1).clamp(max=UNREACHABLE - 1)  # tokens that can follow

        # inside a character, or near the limit, it matters what each token leaves to be written
        strict = inside | (room < self._most_missing)
        missing = self._characters.missing[self._character[rows[strict]]]
        checked = logits[strict].masked_fill_(missing > room[strict, None], NEVER)
        checked.index_fill_(1, self._control_ids, NEVER)
        logits.index_fill_(1, self._never, NEVER)
        logits[strict] = checked
        text = super().candidates(logits, rows, topk)

        barred = (length == 0) | inside
        to_target = torch.logaddexp(ans, eos).masked_fill(is_last | barred, NEVER)
        to_end = eos.masked_fill(~is_last | barred, NEVER)
        full = length >= limit
        to_target.masked_fill_(full & ~is_last, 0.0)
        to_end.masked_fill_(full & is_last, 0.0)
        text_values = text.values.masked_fill(full[:, None], NEVER)
        values = torch.cat([text_values, to_target[:, None], to_end[:, None]], dim=1)
        logits[:, self._ends] = ends  # they can be chosen, so they stay as they were
        ids = torch.cat([text.ids, self._ends.expand(len(rows), 2)], dim=1)
        values, order = values.topk(min(topk, values.shape[1]), dim=1)
        return Candidates(values, ids.gather(1, order))

    def advance(self, tokens: Tensor, rows: Tensor) -> None:
        to_target = tokens == self._control.ans
        self._character[rows] = self._characters.next_state[self._character[rows], tokens].long()
        self._length[rows] = torch.where(to_target, 0, self._length[rows] + 1)
        self._is_last[rows] |= to_target
