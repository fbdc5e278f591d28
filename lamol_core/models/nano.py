"""The embedded model: a small Llama with random weights, and a tokenizer made of a few texts."""

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
import transformers
from tokenizers import ByteLevelBPETokenizer
from tokenizers.pre_tokenizers import PreTokenizer

from lamol_core.errors import ConfigError
from lamol_core.models.params import NanoParams

Pair = tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]
END_OF_TEXT = "<|endoftext|>"
COMMON_FROM = 5
"""A word enters the nano vocabulary if this many texts have it. Rarer words, such as names, are
spelt in pieces: the vocabulary is in every checkpoint and outlives `lamol forget`."""


def build_nano(nano: NanoParams, corpus: list[str]) -> Pair:
    """A small Llama with seeded random weights, and a byte-level BPE trained on the words of
    `corpus`. Raises ConfigError where `corpus` is empty."""
    if not corpus:
        raise ConfigError(
            "params.yaml: backbone.nano.corpus: empty. List the sources of the first tasks, "
            "because the tokenizer is trained on them."
        )
    bpe = ByteLevelBPETokenizer()
    words = _common_words(corpus, bpe._tokenizer.pre_tokenizer)
    bpe.train_from_iterator(
        words, nano.vocab_size, min_frequency=2, special_tokens=[END_OF_TEXT], show_progress=False
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token=END_OF_TEXT
    )
    tokenizer.model_max_length = nano.max_positions
    config = transformers.LlamaConfig(
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
        return transformers.LlamaForCausalLM(config), tokenizer


def _common_words(corpus: Sequence[str], pre_tokenizer: PreTokenizer) -> Iterator[str]:
    """Every word of the corpus, in order, without the words of fewer than COMMON_FROM texts."""
    split = [
        [text[start:stop] for _, (start, stop) in pre_tokenizer.pre_tokenize_str(text)]
        for text in corpus
    ]
    num_texts = Counter(word for words in split for word in set(words))
    return (word for words in split for word in words if num_texts[word] >= COMMON_FROM)
