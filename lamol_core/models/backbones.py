"""Where the first weights come from: a registry of functions, each giving a model and tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lamol_core.config import BackboneParams
from lamol_core.errors import ConfigError, first_line
from lamol_core.params_file import resolve_path, say_missing

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Pair = tuple["PreTrainedModel", "PreTrainedTokenizerBase"]
END_OF_TEXT = "<|endoftext|>"
COMMON_FROM = 5
"""Texts. A vocabulary is in every checkpoint and outlives `lamol forget`: a word of few rows, such
as a name, is none of it and is spelt in pieces."""


def build_backbone(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """The model (fp32, eval mode) and tokenizer of a backbone block, with tokens reserved.

    `corpus` is the text that the nano backbone's tokenizer is trained on; others ignore it.
    Raises ConfigError when the block names something that is not there or is no causal model.
    """
    from lamol_core.models.reserve import reserve_tokens

    model, tokenizer = BACKBONES[params.kind](params, root, corpus)
    reserve_tokens(model, tokenizer, params)
    return model.eval(), tokenizer


def build_nano(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """A small Llama with seeded random weights and a byte-level BPE of the words in `corpus`."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    nano = params.nano
    if not corpus:
        raise ConfigError(
            "params.yaml: backbone.nano.corpus: empty. List the sources of the first tasks: "
            "the tokenizer is trained on them."
        )
    bpe = ByteLevelBPETokenizer()
    words = _common_words(corpus, bpe._tokenizer.pre_tokenizer)
    bpe.train_from_iterator(
        words, nano.vocab_size, min_frequency=2, special_tokens=[END_OF_TEXT], show_progress=False
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token=END_OF_TEXT)
    tokenizer.model_max_length = nano.max_positions
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=nano.hidden_size,
        intermediate_size=nano.hidden_size * 4,
        num_hidden_layers=nano.layers,
        num_attention_heads=nano.heads,
        max_position_embeddings=nano.max_positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(nano.seed)
        return LlamaForCausalLM(config), tokenizer


def _common_words(corpus: Sequence[str], pre_tokenizer: PreTokenizer) -> Iterator[str]:
    """Every word of the corpus, in order, but those of fewer texts than COMMON_FROM."""
    split = [
        [text[start:stop] for _, (start, stop) in pre_tokenizer.pre_tokenize_str(text)]
        for text in corpus
    ]
    num_texts = Counter(word for words in split for word in set(words))
    return (word for words in split for word in words if num_texts[word] >= COMMON_FROM)


def load_hub(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """A model of the hub by its id: the one case in which the network is used."""
    if params.path is None:
        raise ConfigError("params.yaml: backbone.path: missing. Name the hub's id (owner/model).")
    return _from_pretrained(params.path, f"backbone.path: {params.path}", revision=params.revision)


def load_folder(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """What `save_pretrained` wrote into a local folder."""
    folder = _existing(params, root)
    return _from_pretrained(str(folder), f"backbone.path: {folder}", local_files_only=True)


def load_gguf(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """A GGUF file, its weights taken out of their quantised form into fp32."""
    file = _existing(params, root)
    model, tokenizer = _from_pretrained(
        str(file.parent), f"backbone.path: {file}", gguf_file=file.name, local_files_only=True
    )
    # the loaded model believes it is still quantised and refuses to be saved: the same weights
    # in a model made from the plain configuration are what is wanted
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    return plain, tokenizer


BACKBONES: dict[str, Callable[[BackboneParams, Path, list[str]], Pair]] = {
    "nano": build_nano,
    "hub": load_hub,
    "folder": load_folder,
    "gguf": load_gguf,
}


def _existing(params: BackboneParams, root: Path) -> Path:
    if params.path is None:
        raise ConfigError(f"params.yaml: backbone.path: missing, kind {params.kind!r} needs it.")
    path = resolve_path(params.path, root)
    if not path.exists():
        raise ConfigError(f"params.yaml: backbone.path: {say_missing(path, params.path, root)}")
    return path


def _from_pretrained(name: str, where: str, **options: object) -> Pair:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # no pickle is read and no code of a model's own is run, whatever is asked on a terminal
    weights = {} if "gguf_file" in options else {"use_safetensors": True}
    options |= {"trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
        model = AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, **weights, **options
        )
    except (OSError, ValueError, LookupError, SafetensorError) as error:
        raise ConfigError(
            f"params.yaml: {where}: no causal language model ({first_line(error)})."
        ) from error
    return model, tokenizer
