"""What the frozen backbone makes of a text: one vector, which no later training changes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from lamol_core.models.checkpoints import load_model, num_positions
from lamol_core.text.codecs import load_codec

ROWS_AT_ONCE = 64
MOST_TOKENS = 256
"""Of a longer text the end is read, whatever `text.max_length` is."""


class FrozenFeatures:
    """The features of texts: the mean over a text's tokens of the backbone's middle layer.

    The middle layer tells the labels of CLINC150 apart better than the last one, and the mean
    better than the last token (docs/results/clinc150_rows_by_label.md)."""

    def __init__(self, backbone: Path) -> None:
        self._codec = load_codec(backbone)
        model = load_model(backbone, PartialState().device, torch.float32)
        config = model.config.get_text_config(decoder=True)
        self._width, self._middle = config.hidden_size, config.num_hidden_layers // 2
        self._longest = min(MOST_TOKENS, num_positions(model) or MOST_TOKENS)
        self._model = cut_blocks(model, config.num_hidden_layers, self._middle + 1)
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
            ids = [row[-self._longest :] or [self._codec.eos] for row in self._codec.encode(chosen)]
            self._known |= zip(chosen, self._means(ids).unbind(), strict=True)
        known = [self._known[text] for text in texts]
        return torch.stack(known) if known else torch.zeros(0, self._width)

    def _means(self, rows: Sequence[Sequence[int]]) -> Tensor:
        device, pad = self._model.device, self._codec.pad
        tensors = [torch.tensor(row, device=device) for row in rows]
        ids = pad_sequence(tensors, batch_first=True, padding_value=pad)
        mask = pad_sequence([torch.ones_like(row) for row in tensors], batch_first=True)
        states = self._model.base_model(
            input_ids=ids, attention_mask=mask, use_cache=False, output_hidden_states=True
        ).hidden_states[self._middle]
        means: Tensor = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return means.cpu()


def cut_blocks(model: PreTrainedModel, depth: int, num_kept: int) -> PreTrainedModel:
    """The model with the first `num_kept` of its `depth` blocks, changed in place; whole where its
    blocks are not found."""
    for module in model.modules():  # from the outside in: experts inside a block come later
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            del module[num_kept:]
            break
    return model
