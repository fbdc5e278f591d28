"""Add the reserved tokens to a backbone, once and before any training, with meaningful
embeddings.
"""

from typing import Any

import torch
from tokenizers import AddedToken
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lamol_core.errors import ConfigError
from lamol_core.models.params import BackboneParams
from lamol_core.text.template import ANS
from lamol_core.text.tokenizer import PAD, reserved_tokens

NOISE = 0.1
"""The spread of the first GEN embeddings around their mean, in standard deviations of all
embeddings."""


def reserve_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, params: BackboneParams
) -> None:
    """Add ANS, PAD, GEN and GEN_0..GEN_{max_tasks-1} to the tokenizer, and rows for them to the
    embeddings.

    ANS starts as the mean embedding of `ans_text`. Each GEN token starts as that of `gen_text` with
    seeded noise, so that tasks differ. The rows of an untied head start in the same way. Raises
    ConfigError where the tokenizer has no end-of-sequence token or already holds a reserved name.
    """
    if tokenizer.eos_token_id is None:
        raise ConfigError(
            f"params.yaml: backbone.path: {params.path}: the tokenizer has no end-of-sequence "
            "token. Name a model that has one: every answer ends with it."
        )
    names = reserved_tokens(params.max_tasks)
    if taken := [name for name in names if name in tokenizer.get_vocab()]:
        raise ConfigError(
            f"params.yaml: backbone: the tokenizer already holds {taken[0]!r}. Name the original "
            "model, which lamol has not prepared."
        )
    ans_ids, gen_ids = (_ids_of(text, tokenizer) for text in (params.ans_text, params.gen_text))
    tokenizer.add_tokens(
        [AddedToken(name, special=True, normalized=False) for name in names], special_tokens=True
    )
    tokenizer.pad_token = PAD
    embeddings: Any = model.get_input_embeddings()
    num_known = embeddings.weight.shape[0]
    with torch.random.fork_rng(devices=[]):
        # further new rows (in general there are none) are seeded, so that every run is the same
        torch.manual_seed(0)
        model.resize_token_embeddings(max(len(tokenizer), num_known), mean_resizing=False)

    modules: list[Any] = [model.get_input_embeddings(), model.get_output_embeddings()]
    tables = {module.weight.data_ptr(): module.weight for module in modules}  # one if tied
    vocabulary = tokenizer.get_vocab()
    gens = [vocabulary[name] for name in names if name not in (ANS, PAD)]
    with torch.no_grad():
        for table in tables.values():
            spread = NOISE * table[:num_known].std()
            table[vocabulary[ANS]] = table[ans_ids].mean(dim=0)
            like_gen = table[gen_ids].mean(dim=0)
            table[vocabulary[PAD]] = like_gen
            for offset, gen in enumerate(gens):
                generator = torch.Generator().manual_seed(offset)
                table[gen] = like_gen + spread * torch.randn(table.shape[1], generator=generator)

    for config in (model.config, model.generation_config):
        if config is not None:
            config.pad_token_id = tokenizer.pad_token_id
            config.eos_token_id = tokenizer.eos_token_id


def end_with_turns(model: PreTrainedModel, end: int) -> None:
    """Let `generate()` also stop at the id that ends an answer's turn. Raises ConfigError where
    generation_config.json has an end that is no token of the model."""
    config: Any = model.generation_config
    known = config.eos_token_id
    known = known if isinstance(known, list) else [] if known is None else [known]
    tokens = range(model.get_input_embeddings().num_embeddings)
    if wrong := [one for one in known if type(one) is not int or one not in tokens]:
        raise ConfigError(
            f"params.yaml: backbone: generation_config.json: eos_token_id has {wrong[0]!r}, "
            "which is no token of the model. Write the ids of the tokens that end an answer."
        )
    ends = [*known, *([] if end in known else [end])]
    config.eos_token_id = ends if len(ends) > 1 else ends[0]


def _ids_of(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if ids:
        return ids
    raise ConfigError(f"params.yaml: backbone: {text!r} has no tokens. Choose another text.")
