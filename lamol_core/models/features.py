"""What the frozen backbone makes of a text: one vector, which no later training changes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from lamol_core.models.checkpoints import load_model
from lamol_core.text.tokenizer import TextCodec

ROWS_AT_ONCE = 64


class FrozenFeatures:
    """The features of texts: the mean over a text's tokens of the backbone's middle layer.

    The middle layer tells the labels of CLINC150 apart better than the last one, and the mean
    better than the last token (docs/results/clinc150_rows_by_label.md)."""

    def __init__(self, backbone: Path) -> None:
        self._codec = TextCodec.load(backbone)
        self._half = first_half(load_model(backbone, PartialState().device, torch.float32))
        self._known: dict[str, Tensor] = {}

    def as_written(self, texts: Sequence[str]) -> list[str]:
        """Each text after encoding and decoding: as the model writes it."""
        return [self._codec.decode(ids) for ids in self._codec.encode(texts)]

    @torch.no_grad()
    def of(self, texts: Sequence[str]) -> Tensor:
        """The features (n, d) of n texts, in fp32 on the CPU. Each text is computed once. Rows are
        computed by length, so that little is padded."""
        new = sorted({*texts} - self._known.keys(), key=lambda text: (len(text), text))
        for start in range(0, len(new), ROWS_AT_ONCE):
            chosen = new[start : start + ROWS_AT_ONCE]
            ids = [row or [self._codec.control.eos] for row in self._codec.encode(chosen)]
            self._known |= zip(chosen, self._means(ids).unbind(), strict=True)
        known = [self._known[text] for text in texts]
        return torch.stack(known) if known else torch.zeros(0, self._half.config.hidden_size)

    def _means(self, rows: Sequence[Sequence[int]]) -> Tensor:
        device, pad = self._half.device, self._codec.control.pad
        tensors = [torch.tensor(row, device=device) for row in rows]
        ids = pad_sequence(tensors, batch_first=True, padding_value=pad)
        mask = pad_sequence([torch.ones_like(row) for row in tensors], batch_first=True)
        states = self._half.base_model(
            input_ids=ids, attention_mask=mask, use_cache=False, output_hidden_states=True
        ).hidden_states[-2]  # the last ones have gone through the model's last norm
        means: Tensor = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return means.cpu()


def first_half(model: PreTrainedModel) -> PreTrainedModel:
    """The model without its upper blocks, changed in place; one is left above the middle."""
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    blocks = max(stacks, key=len)
    del blocks[len(blocks) // 2 + 1 :]
    return model
