"""Reserved tokens: added to a backbone once, before any training, with meaningful first rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamol_core.errors import ConfigError
from lamol_core.models.params import BackboneParams
from lamol_core.text.template import ANS
from lamol_core.text.tokenizer import PAD, reserved_tokens

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NOISE = 0.1
"""Spread of the GEN rows around their common start, in standard deviations of the embeddings."""


def reserve_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, params: BackboneParams
) -> None:
    """Add ANS, PAD, GEN and GEN_0..GEN_{max_tasks-1}, and resize the embeddings to hold them.

    ANS starts as the mean embedding of `ans_text`; the GEN tokens as that of `gen_text`, each with
    a little seeded noise so that tasks can be told apart. Output rows of an untied head likewise.
    Raises ConfigError when the tokenizer has no end-of-sequence token or holds reserved names.
    """
    import torch
    from tokenizers import AddedToken

    if tokenizer.eos_token_id is None:
        raise ConfigError(
            f"params.yaml: backbone.path: {params.path}: its tokenizer has no end-of-sequence "
            "token, which every answer ends with. Name a model that has one."
        )
    names = reserved_tokens(params.max_tasks)
    taken = [name for name in names if name in tokenizer.get_vocab()]
    if taken:
        raise ConfigError(
            f"params.yaml: backbone: its tokenizer holds {taken[0]!r} already. Name the model as "
            "it was before lamol prepared it."
        )
    start_ids = {
        text: tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in (params.ans_text, params.gen_text)
    }
    for text, ids in start_ids.items():
        if not ids:
            raise ConfigError(f"params.yaml: backbone: {text!r} is no token of its tokenizer.")
    tokenizer.add_tokens(
        [AddedToken(name, special=True, normalized=False) for name in names], special_tokens=True
    )
    tokenizer.pad_token = PAD
    num_known = _table(model.get_input_embeddings()).shape[0]
    with torch.random.fork_rng(devices=[]):
        # rows beyond the reserved ones (there are none in general) start the same in every run
        torch.manual_seed(0)
        model.resize_token_embeddings(max(len(tokenizer), num_known), mean_resizing=False)

    tables = [_table(model.get_input_embeddings())]
    head = _table(model.get_output_embeddings())
    if head.data_ptr() != tables[0].data_ptr():
        tables.append(head)
    vocabulary = tokenizer.get_vocab()
    gens = [vocabulary[name] for name in names if name not in (ANS, PAD)]
    with torch.no_grad():
        for table in tables:
            spread = NOISE * table[:num_known].std()
            table[vocabulary[ANS]] = table[start_ids[params.ans_text]].mean(dim=0)
            like_gen = table[start_ids[params.gen_text]].mean(dim=0)
            table[vocabulary[PAD]] = like_gen
            for offset, gen in enumerate(gens):
                generator = torch.Generator().manual_seed(offset)
                table[gen] = like_gen + spread * torch.randn(table.shape[1], generator=generator)

    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.eos_token_id = tokenizer.eos_token_id
    if model.generation_config is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        model.generation_config.eos_token_id = tokenizer.eos_token_id


def _table(module: Any) -> Tensor:
    """The weight of an embedding or head: (tokens, d)."""
    return module.weight
