"""The published procedure with its settings, in plain PyTorch and transformers, fp32 throughout.

Written from its description in the paper and its settings, without needless slowness: only what is
described is slow. Training: batches of 4 rows, each view padded on the left to 50 tokens, the
student's forwards on both views of the new rows, and the student's and the online teacher's on both
views of the pseudo rows, each with logits at all positions; torch's AdamW, clipping at 1.0. A batch
without pseudo rows skips their forwards. Sampling: `generate()`, 8 prompts at once, to 50 tokens or
until all rows have ended. Evaluation: greedy `generate()` on batches of 4, padded on the left.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lamol_core.text.encoded import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lamol_core.text.encoded import EncodedRow
    from lamol_core.text.template import ControlTokens

Ids = Sequence[int]


@dataclass(frozen=True)
class PublishedSettings:
    """What the reference uses."""

    train_batch_size: int = 4
    sample_batch_size: int = 8
    evaluate_batch_size: int = 4
    max_length: int = 50
    topk: int = 20
    gen_weight: float = 0.25
    distill_weight: float = 1.0
    temperature: float = 2.0
    learning_rate: float = 2e-4
    max_grad_norm: float = 1.0


def load(
    checkpoint: Path, dtype: torch.dtype | str = torch.float32, attention: str | None = None
) -> PreTrainedModel:
    """A checkpoint as transformers gives it; attention None is its default, sdpa."""
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=dtype, local_files_only=True, attn_implementation=attention
    )
    model.eval()
    return model


class PublishedTraining:
    """Trains a copy of a checkpoint, whose other copy is the teacher in train mode."""

    def __init__(
        self, checkpoint: Path, control: ControlTokens, settings: PublishedSettings
    ) -> None:
        self._control, self._settings = control, settings
        self._student = load(checkpoint).train()
        self._teacher = copy.deepcopy(self._student)
        self._optimizer = torch.optim.AdamW(self._student.parameters(), lr=settings.learning_rate)

    def train(self, rows: Sequence[EncodedRow]) -> int:
        """One pass over the rows, new and pseudo mixed as they come. Gives their number."""
        size = self._settings.train_batch_size
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            loss = self._loss(
                [row for row in batch if row.origin == "new"],
                [row for row in batch if row.origin == "pseudo"],
            )
            self._optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._student.parameters(), self._settings.max_grad_norm)
            self._optimizer.step()
        return len(rows)

    def _loss(self, new: Sequence[EncodedRow], pseudo: Sequence[EncodedRow]) -> Tensor:
        settings = self._settings
        loss = torch.zeros(())
        if new:
            qa, gen = (self._cross_entropy(*view) for view in self._views(new))
            loss = loss + qa + settings.gen_weight * gen
        if pseudo:
            qa, gen = (self._divergence(*view) for view in self._views(pseudo))
            loss = loss + settings.distill_weight * (qa + settings.gen_weight * gen)
        return loss

    def _cross_entropy(self, ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        logits = self._student(input_ids=ids, attention_mask=mask).logits[:, :-1]
        chosen = labels[:, 1:] != IGNORED
        return F.cross_entropy(logits[chosen], labels[:, 1:][chosen])

    def _divergence(self, ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        temperature = self._settings.temperature
        student = self._student(input_ids=ids, attention_mask=mask).logits
        with torch.no_grad():
            teacher = self._teacher(input_ids=ids, attention_mask=mask).logits
        chosen = labels != IGNORED  # where the labels stand: the published alignment
        return temperature**2 * F.kl_div(
            F.log_softmax(student[chosen] / temperature, dim=-1),
            F.log_softmax(teacher[chosen] / temperature, dim=-1),
            reduction="batchmean",
            log_target=True,
        )

    def _views(self, rows: Sequence[EncodedRow]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """ids, mask and labels (B, 50) of the QA and of the GEN view."""
        by_view = zip(*(row.views(("qa", "gen")) for row in rows), strict=True)
        views = []
        for sequences in by_view:
            length = self._settings.max_length
            ids = [sequence.ids[:length] for sequence in sequences]
            labels = [sequence.labels[:length] for sequence in sequences]
            views.append(
                (
                    left_padded(ids, self._control.pad, length),
                    left_padded([[1] * len(cut) for cut in ids], 0, length),
                    left_padded(labels, IGNORED, length),
                )
            )
        return views


def sample(
    model: Any,
    control: ControlTokens,
    gen_token: int,
    num_rows: int,
    *,
    batch_size: int,
    topk: int,
    max_new_tokens: int,
) -> list[list[int]]:
    """Samples by `generate()`, valid or not, without their prompt, cut at EOS."""
    samples: list[list[int]] = []
    while len(samples) < num_rows:
        prompts = torch.full((min(batch_size, num_rows - len(samples)), 1), gen_token)
        written = model.generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=True,
            top_k=topk,
            top_p=1.0,
            temperature=1.0,
            max_new_tokens=max_new_tokens,
            eos_token_id=control.eos,
            pad_token_id=control.pad,
        )
        samples += [until_eos(row, control.eos) for row in written[:, 1:].tolist()]
    return samples


def answer(
    model: Any,
    control: ControlTokens,
    prompts: Sequence[Ids],
    *,
    batch_size: int,
    max_new_tokens: int,
    by_length: bool = False,
) -> list[list[int]]:
    """Greedy answers by `generate()`, in the order of the prompts; sorted by length if asked."""
    order = list(range(len(prompts)))
    if by_length:
        order.sort(key=lambda place: len(prompts[place]))
    answers: dict[int, list[int]] = {}
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        batch = [prompts[place] for place in places]
        longest = max(map(len, batch))
        written = model.generate(
            input_ids=left_padded(batch, control.pad, longest),
            attention_mask=left_padded([[1] * len(prompt) for prompt in batch], 0, longest),
            do_sample=False,
            max_new_tokens=max_new_tokens,
            eos_token_id=control.eos,
            pad_token_id=control.pad,
        )
        for place, row in zip(places, written[:, longest:].tolist(), strict=True):
            answers[place] = until_eos(row, control.eos)
    return [answers[place] for place in range(len(prompts))]


def left_padded(rows: Sequence[Ids], filling: int, length: int) -> Tensor:
    """Rows as one tensor (B, length), filled on the left."""
    return torch.tensor([[filling] * (length - len(row)) + list(row) for row in rows])


def until_eos(ids: Sequence[int], eos: int) -> list[int]:
    return list(ids[: ids.index(eos) + 1]) if eos in ids else list(ids)
